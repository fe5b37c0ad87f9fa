"""
===================
Networks for images
===================

A row may be an image: its pixels, one after another. The default networks do not know which of
them are neighbours. ``Convolutional`` does, and ``ResidualDense`` is a deeper network that knows as
little as the default. Both are given as ``encoder`` and ``decoder``, and with both the start is
PCA.

Here they learn scikit-learn's handwritten digits, 8 by 8 pixels, by eight numbers each.
"""

# %%
# Rows of pixels
# --------------
# ``load_digits`` has the images as a stack, (1797, 8, 8). An estimator takes rows, as everywhere in
# scikit-learn, so the stack is reshaped; ``image_shape`` says how a row was an image.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skvae import VariationalAutoencoder
from skvae.nn import Convolutional, ResidualDense

images = load_digits().images / 16
X = images.reshape(len(images), -1)
train, test = train_test_split(X, random_state=0)

# %%
# Three networks
# --------------
# One object serves as encoder and as decoder, which is its mirror image.

networks = {
    "dense": None,
    "convolutional": Convolutional((8, 8), channels=(64,)),
    "residual": ResidualDense(),
}
models = {
    name: VariationalAutoencoder(
        8, encoder=network, decoder=network, early_stopping=False, max_iter=24, random_state=0
    )
    for name, network in networks.items()
}
pca = PCA(8).fit(train)
print(f"{'PCA':14s} log-density of a test image {pca.score(test):6.2f} nats")
for name, model in models.items():
    model.fit(train)
    print(f"{name:14s} log-density of a test image {model.score(test):6.2f} nats")

# %%
# Test images and what is rebuilt of them
# ---------------------------------------

chosen = test[:14]
lines = {"test images": chosen, "PCA": pca.inverse_transform(pca.transform(chosen))}
for name, model in models.items():
    lines[name] = model.inverse_transform(model.transform(chosen))


def show(lines):
    """Draw lines of images, each with its name."""
    n = len(next(iter(lines.values())))
    figure, axes = plt.subplots(len(lines), n, figsize=(0.55 * n + 1.4, 0.6 * len(lines)))
    for line, (name, rows) in zip(axes, lines.items(), strict=True):
        for ax, row in zip(line, rows, strict=True):
            ax.imshow(row.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.tight_layout(pad=0.4)


show(lines)

# %%
# New images
# ----------
# PCA draws from its Gaussian. ``observation_noise=False`` gives the mean image of each latent, as
# the reconstructions above are.

generator = np.random.default_rng(0)
latents = generator.normal(size=(14, 8)) * np.sqrt(pca.explained_variance_)
lines = {"PCA": pca.inverse_transform(latents)}
for name, model in models.items():
    lines[name] = model.sample(14, observation_noise=False, random_state=0)
show(lines)
