"""
===============================================
Handwritten digits: two latents in PCA's place
===============================================

A variational autoencoder is used exactly as PCA is, and what it finds is compared on images that
neither has seen. Then the two pictures of Kingma and Welling (2013) are drawn: the images in two
dimensions, and what the model decodes along a grid over these.

As a script it takes ``--mnist``: the images are then MNIST's, from the file ``mnist.npz`` in the
folder that the environment variable ``SKVAE_DATA`` names, or else downloaded once by
:func:`sklearn.datasets.fetch_openml`. That takes minutes; the digits that scikit-learn ships take
seconds.
"""

# %%
# Load the images
# ---------------
# Pixels are scaled to [0, 1]. The digits are split at random, MNIST as its authors did.

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skvae import VariationalAutoencoder
from skvae.display import LatentGridDisplay, LatentSpaceDisplay


def load_mnist():
    """Return training and test images of MNIST, one a row, and their digits."""
    if "SKVAE_DATA" in os.environ:
        with np.load(Path(os.environ["SKVAE_DATA"]) / "mnist.npz") as file:
            images = file["X_train"], file["X_test"]
            digits = file["y_train"], file["y_test"]
    else:
        X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
        images, digits = np.split(X, [60_000]), np.split(y.astype(int), [60_000])
    return *(X.astype(np.float32) / 255 for X in images), *digits


name = "mnist" if "--mnist" in sys.argv else "digits"
if name == "mnist":
    X_train, X_test, y_train, y_test = load_mnist()
else:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.3, random_state=0)

# %%
# Compare with PCA
# ----------------
# Both are fitted on the training images and judged by the test images: the mean log-likelihood
# (``score``), the squared error of the reconstructed image, and how often the five nearest
# neighbours in the latent space name the right digit.


def accuracy(model):
    """How often five neighbours in the latent space are right."""
    neighbours = KNeighborsClassifier(n_neighbors=5).fit(model.transform(X_train), y_train)
    return neighbours.score(model.transform(X_test), y_test)


print(f"{'':26}{'log-likelihood':>15}{'squared error':>15}{'5 neighbours':>14}")
for k in (2, 8):
    for model in (PCA(k), VariationalAutoencoder(k, max_iter=500, random_state=0)):
        rebuilt = model.fit(X_train).inverse_transform(model.transform(X_test))
        error = mean_squared_error(X_test, rebuilt) * X_test.shape[1]
        label = f"{type(model).__name__}({k})"
        print(f"{label:26}{model.score(X_test):15.2f}{error:15.3f}{accuracy(model):14.3f}")

# %%
# The latent space
# ----------------
# For the pictures a pixel is taken as the probability of ink, by the Bernoulli likelihood. The
# images are coloured by digit, which neither model was told.

vae = VariationalAutoencoder(
    2, likelihood="bernoulli", hidden_layer_sizes=(256, 256), max_iter=500, random_state=0
).fit(X_train)
figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
models = {"PCA": PCA(2).fit(X_train), "Variational autoencoder": vae}
for ax, (title, model) in zip(axes, models.items(), strict=True):
    LatentSpaceDisplay.from_estimator(model, X_test, y_test, ax=ax, marginals=False)
    ax.set_title(f"{title}\n5 neighbours: {100 * accuracy(model):.0f} % right", size=11)
figure.savefig(f"{name}_latent.png", dpi=110)

# %%
# The grid
# --------
# It is laid over the prior at its quantiles 0.05 to 0.95, so that each image stands for an equal
# share of the probability.

side = round(X_test.shape[1] ** 0.5)
display = LatentGridDisplay.from_estimator(vae, image_shape=(side, side))
display.figure_.savefig(f"{name}_grid.png", dpi=110)
