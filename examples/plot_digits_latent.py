"""
===============================================
Handwritten digits: two latents in PCA's place
===============================================

A variational autoencoder is used exactly as PCA is, and what it finds is compared on images that
neither has seen. Then the two pictures of Kingma and Welling (2013) are drawn:

- ``digits_latent.png``: the unseen images in two dimensions, coloured by digit, which neither
  model was told;
- ``digits_grid.png``: what the model decodes along a 15 x 15 grid over the latent space, spaced by
  the quantiles of the prior, so that each image stands for an equal share of the probability.

With ``--mnist`` the images are MNIST's: from the file ``mnist.npz`` in the folder that the
environment variable ``SKVAE_DATA`` names, or else downloaded once by
:func:`sklearn.datasets.fetch_openml`. That takes minutes, the digits bundled with scikit-learn
take seconds.
"""

# %%
# Load the images
# ---------------
# Pixels are scaled to [0, 1]. The digits are split at random, MNIST as its authors did.

import argparse
import os
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


def load_images(mnist):
    """Return training and test images, one a row, and their digits."""
    if not mnist:
        X, y = load_digits(return_X_y=True)
        return train_test_split(X / 16, y, test_size=0.3, random_state=0)
    if "SKVAE_DATA" in os.environ:
        with np.load(Path(os.environ["SKVAE_DATA"]) / "mnist.npz") as file:
            images = file["X_train"], file["X_test"]
            digits = file["y_train"], file["y_test"]
    else:
        X, y = fetch_openml("mnist_784", version=1, return_X_y=True, as_frame=False)
        images, digits = np.split(X, [60_000]), np.split(y.astype(int), [60_000])
    return *(X.astype(np.float32) / 255 for X in images), *digits


# %%
# Compare with PCA
# ----------------
# Both are fitted on the training images and judged by the test images: the mean log-likelihood
# (``score``), the squared error of the reconstructed image, and how often the five nearest
# neighbours in the latent space name the right digit.


def judge(model, X_train, X_test, y_train, y_test):
    """Return log-likelihood, squared error of an image, accuracy of five neighbours."""
    Z_train, Z_test = model.fit_transform(X_train), model.transform(X_test)
    neighbours = KNeighborsClassifier(n_neighbors=5).fit(Z_train, y_train)
    error = mean_squared_error(X_test, model.inverse_transform(Z_test)) * X_test.shape[1]
    return model.score(X_test), error, neighbours.score(Z_test, y_test)


def compare(images):
    """Print PCA and the autoencoder side by side."""
    print(f"{'':26}{'log-likelihood':>15}{'squared error':>15}{'5 neighbours':>14}")
    for k in (2, 8):
        for model in (PCA(k), VariationalAutoencoder(k, max_iter=500, random_state=0)):
            log_likelihood, error, accuracy = judge(model, *images)
            name = f"{type(model).__name__}({k})"
            print(f"{name:26}{log_likelihood:15.2f}{error:15.3f}{accuracy:14.3f}")


# %%
# Draw the latent space
# ---------------------
# For the pictures a pixel is taken as the probability of ink, by the Bernoulli likelihood.


def plot_latents(models, images):
    """Scatter the test images in the two dimensions of each fitted model."""
    X_train, X_test, y_train, y_test = images
    figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        LatentSpaceDisplay.from_estimator(model, X_test, y_test, ax=ax, marginals=False)
        neighbours = KNeighborsClassifier(n_neighbors=5).fit(model.transform(X_train), y_train)
        accuracy = neighbours.score(model.transform(X_test), y_test)
        ax.set_title(f"{name}\n5 neighbours: {100 * accuracy:.0f} % right", size=11)
    return figure


# %%
# Draw the grid
# -------------
# The grid is laid over the prior, at its quantiles 0.05 to 0.95.


def plot_grid(vae, image_shape):
    """Tile the images decoded at equally probable places of the prior."""
    return LatentGridDisplay.from_estimator(vae, image_shape=image_shape).figure_


# %%
# Run it
# ------


def main():
    """Compare, then write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--mnist", action="store_true", help="use MNIST, which takes minutes")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of the pictures (default: the current one)",
    )
    args = parser.parse_args()
    images = load_images(args.mnist)
    compare(images)
    X_train = images[0]
    vae = VariationalAutoencoder(
        2, likelihood="bernoulli", hidden_layer_sizes=(256, 256), max_iter=500, random_state=0
    ).fit(X_train)
    models = {"PCA": PCA(2).fit(X_train), "Variational autoencoder": vae}
    args.output.mkdir(parents=True, exist_ok=True)
    for name, figure in {
        "latent": plot_latents(models, images),
        "grid": plot_grid(vae, (28, 28) if args.mnist else (8, 8)),
    }.items():
        path = args.output / f"{'mnist' if args.mnist else 'digits'}_{name}.png"
        figure.savefig(path, dpi=110)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
