"""
===========================================================
Hinton and Salakhutdinov (2006) on a page: images and codes
===========================================================

The two figures of "Reducing the dimensionality of data with neural networks" (Science 313), on the
digits bundled with scikit-learn: images that no model has seen, rebuilt from a few numbers by a
deep autoencoder and by PCA, and codes of two numbers, coloured by a class that neither was told.

The autoencoder starts as PCA and goes on from there. Theirs started as a stack of restricted
Boltzmann machines, which ``init="rbm"`` trains, too; its error is printed beside.
"""

# %%
# Load the images
# ---------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skvae import Autoencoder
from skvae.corruptions import GaussianNoise

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.3, random_state=0)

# %%
# Rebuild them from a few numbers
# -------------------------------
# A little noise on the encoder's input keeps a deep network from learning 1257 images by heart.

DEEP = {
    "hidden_layer_sizes": (128, 64),
    "likelihood": "bernoulli",
    "corruption": GaussianNoise(0.1),
    "max_iter": 100,
    "random_state": 0,
}


def rebuild(model, X):
    """Images that the model makes of its own codes, as probabilities of ink."""
    return model.inverse_transform(model.transform(X)).clip(0, 1)


def error(model):
    """Squared error of a test image, summed over the pixels."""
    return np.square(rebuild(model, X_test) - X_test).sum(1).mean()


def plot_images(models, n_numbers):
    """One test image of each class, and below what each model makes of it."""
    chosen = [np.flatnonzero(y_test == digit)[0] for digit in range(10)]
    rows = {"image": X_test[chosen]}
    for name, model in models.items():
        rows[f"{name}\nerror {error(model):.2f}"] = rebuild(model, X_test[chosen])
    figure, axes = plt.subplots(len(rows), 10, figsize=(9, 1.05 * len(rows)), layout="constrained")
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for ax, image in zip(line, images, strict=True):
            ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", size=9)
    figure.suptitle(f"Test images from {n_numbers} numbers", size=11)
    return figure


# %%
# Codes of two numbers
# --------------------


def plot_codes(models):
    """Scatter the test images by their codes."""
    figure, axes = plt.subplots(1, len(models), figsize=(9, 4.6), layout="constrained")
    for ax, (name, model) in zip(axes, models.items(), strict=True):
        Z = model.transform(X_test)
        ax.scatter(*Z.T, c=y_test, cmap="tab10", vmin=-0.5, vmax=9.5, s=12, linewidths=0)
        for digit in range(10):
            box = {"boxstyle": "circle,pad=0.2", "fc": "white", "ec": f"C{digit}", "lw": 1.5}
            place = np.median(Z[y_test == digit], axis=0)
            ax.text(*place, str(digit), ha="center", va="center", weight="bold", bbox=box)
        ax.set_title(f"{name}, error {error(model):.2f}", size=11)
        ax.locator_params(nbins=5)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set(xlabel="first number", ylabel="second number")
    return figure


# %%
# Fit, and draw both
# ------------------

for k in (8, 2):
    models = {"PCA": PCA(k).fit(X_train), "Autoencoder": Autoencoder(k, **DEEP).fit(X_train)}
    boltzmann = Autoencoder(k, **DEEP, init="rbm", activation="logistic").fit(X_train)
    for name, model in {**models, "Autoencoder, RBM start": boltzmann}.items():
        print(f"{k} numbers, {name:24}{error(model):8.3f}")
    if k == 8:
        plot_images(models, k).savefig("hinton_2006_images.png", dpi=110)
    else:
        plot_codes(models).savefig("hinton_2006_codes.png", dpi=110)
