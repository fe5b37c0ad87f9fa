"""
===============================
Tutorial: if you know PCA
===============================

This page assumes that you have used PCA in scikit-learn, and no knowledge of neural networks. It
goes from a data frame to a picture, to a number of latents, and to a decision: whether the
variational autoencoder is worth having in place of PCA, on these data and for your purpose. It
takes a quarter of an hour to type in. You need

.. code-block:: console

    $ pip install "skvae[plot]" pandas

A notebook is the best place to type it in. In a script, ``print`` the tables, and call
``plt.show()`` after each picture.
"""

# %%
# The data
# --------
# 1797 handwritten digits, each a row of 64 grey values. We divide by 16, the darkest value, so that
# all columns have the same unit, and put a third of the rows aside: everything below is judged on
# rows that no model has seen.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

digits = load_digits(as_frame=True)
X, y = digits.data / 16, digits.target
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
X_train.iloc[:3, 18:24]

# %%
# What you know: PCA
# ------------------
# PCA replaces each row by a few numbers, here two, and can go back from them. It is also a
# distribution: its ``score`` is the mean log-likelihood of rows under a Gaussian, and higher is
# better (Tipping and Bishop 1999).

from sklearn.decomposition import PCA

pca = PCA(n_components=2).fit(X_train)
print(f"PCA's score on unseen rows: {pca.score(X_test):.2f}")

# %%
# The same, bent
# --------------
# A variational autoencoder (VAE) also replaces a row by a few numbers, its *latents*, and goes
# back. But where PCA goes along straight lines, its two functions, an *encoder* and a *decoder*,
# are curved. They have no formula: their parameters are improved step by step, and one pass through
# the rows is an *epoch*. It has the methods that PCA has.

from skvae import VariationalAutoencoder

vae = VariationalAutoencoder(n_components=2, random_state=0).fit(X_train)
print(f"the VAE's score on unseen rows: {vae.score(X_test):.2f}")

# %%
# The two scores can be compared: both are log-likelihoods of the same rows, in *nats* (logarithms
# to base e). A difference of 10 means that the VAE finds the typical unseen row about
# :math:`e^{10}` times as likely.
#
# Before its first step the model *is* PCA, and it moves away only if rows that it holds out for
# itself show that it does better. So the first thing to look at is which epoch it kept; epoch 0
# would be PCA.

print(f"epoch {vae.best_epoch_} of {vae.n_iter_} was kept")

# %%
# A picture
# ---------
# Neither model was told which digit a row is; the colours are added afterwards.

from skvae.display import LatentSpaceDisplay

figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for ax, (name, model) in zip(axes, {"PCA": pca, "VAE": vae}.items(), strict=True):
    LatentSpaceDisplay.from_estimator(model, X_test, y_test, ax=ax, marginals=False)
    ax.set_title(name)

# %%
# Is the right picture better, or only prettier? Let the five nearest neighbours in the plane say
# which digit an unseen row is.

from sklearn.neighbors import KNeighborsClassifier


def accuracy(model):
    """Share of unseen rows that their neighbours in the latent space name rightly."""
    neighbours = KNeighborsClassifier(5).fit(model.transform(X_train), y_train)
    return neighbours.score(model.transform(X_test), y_test)


print(f"right by two numbers: PCA {accuracy(pca):.0%}, VAE {accuracy(vae):.0%}")

# %%
# What do the axes mean? For PCA you would look at ``components_``. A curved model has no such axes,
# but it can decode any place of the plane.

from skvae.display import LatentGridDisplay

display = LatentGridDisplay.from_estimator(vae, image_shape=(8, 8))

# %%
# How many latents?
# -----------------
# For PCA you may have plotted explained variance and looked for an elbow. The score is a better
# guide, because it falls where latents fit noise. ``GridSearchCV`` computes it on rows that each
# fit has not seen; ``max_iter=40`` limits each fit to forty epochs, to save time. What the search
# warns of is that some fits were still improving then.

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

sizes = [2, 6, 12, 24]
candidates = {"PCA": PCA(), "VAE": VariationalAutoencoder(max_iter=40, random_state=0)}
searches = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name, model in candidates.items():
        searches[name] = GridSearchCV(model, {"n_components": sizes}, cv=3).fit(X_train)
scores = {name: search.cv_results_["mean_test_score"] for name, search in searches.items()}
table = pd.DataFrame(scores, index=pd.Index(sizes, name="latents")).round(1)
table

# %%
# Read the table downwards first. Neither model is at its best before 24 latents, but what each
# further one adds shrinks: from 12 on you pay for detail. Then read it across: with 12 latents the
# VAE finds unseen rows likelier than PCA does with 24.
#
# A latent can also be idle, like a component without variance. A VAE says how many are in use:

best = searches["VAE"].best_estimator_
print(f"{best.n_active_components_} of {best.n_components_} latents are active")

# %%
# A decision
# ----------
# Which model depends on what you want of it. So judge each by its purpose, on unseen rows:

rows = {}
for k in (2, 12):
    for name, model in candidates.items():
        model = model.set_params(n_components=k).fit(X_train)
        error = (
            ((X_test - model.inverse_transform(model.transform(X_test))) ** 2).sum(axis=1).mean()
        )
        rows[name, k] = model.score(X_test), error, accuracy(model)
columns = ["log-likelihood", "squared error", "5 neighbours"]
decision = pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3)
decision

# %%
# - **A picture, or very few numbers**: take the VAE. Two curved dimensions hold far more than two
#   straight ones. (These fits had forty epochs; the longer one above does better.)
# - **Input for a classifier, with as many numbers as it likes**: with 12 the neighbours do as well
#   on PCA's. Take PCA; it fits in milliseconds.
# - **A distribution**, to generate rows, fill gaps or find outliers: take the VAE; its likelihood
#   and its squared error are better at every size.
#
# New rows come from ``sample``:

new = best.sample(10, random_state=0, observation_noise=False)
figure, axes = plt.subplots(1, 10, figsize=(9, 1.1), layout="constrained")
for ax, row in zip(axes, new, strict=True):
    ax.imshow(row.reshape(8, 8), cmap="gray_r")
    ax.set_axis_off()

# %%
# Where to go from here
# ---------------------
# Your own table needs ``StandardScaler`` before, as for PCA, or ``likelihood="auto"`` if it has
# categories, counts or gaps (:doc:`/tables`). :doc:`/from_pca_to_vae` explains what was trained and
# why; :doc:`/troubleshooting` what to do if the start is kept or latents are idle;
# :doc:`/pipelines` how to search over more than the number of latents.
