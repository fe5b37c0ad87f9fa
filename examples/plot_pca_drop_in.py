"""
===============================================
An autoencoder for PCA, in the same grid search
===============================================

A pipeline of scaler, PCA and classifier is where PCA is met most often. Here the autoencoder takes
its place, in the same pipeline and the same grid search, on the breast cancer data. Its grid has
one parameter more: ``beta``, the weight of the Kullback-Leibler term, which smooths the latent
space (above 1) or sharpens it (below 1).
"""

# %%
# One pipeline, two grids
# -----------------------

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VariationalAutoencoder

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
SIZES = [2, 5, 10]


def search(reducer, **grid):
    """Grid search over a pipeline whose middle step is ``reducer``."""
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("reduce", reducer), ("classify", LogisticRegression())]
    )
    return GridSearchCV(pipeline, {"reduce__n_components": SIZES, **grid}, cv=3)


searches = {
    "PCA": search(PCA(random_state=0)),
    "VAE": search(VariationalAutoencoder(random_state=0), reduce__beta=[0.5, 1.0, 2.0]),
}

# %%
# Search and compare
# ------------------
# The accuracy of the chosen pipeline is measured on rows that the search has not seen, and so is
# the mean log-likelihood that its middle step gives to the scaled rows.

print(f"{'':5}{'latents':>9}{'beta':>7}{'cross-validated':>18}{'test':>8}{'log-likelihood':>17}")
for name, grid in searches.items():
    chosen = grid.fit(X_train, y_train).best_estimator_
    log_likelihood = chosen["reduce"].score(chosen["scale"].transform(X_test))
    print(
        f"{name:5}{chosen['reduce'].n_components:9}{getattr(chosen['reduce'], 'beta', '–'):>7}"
        f"{grid.best_score_:18.3f}{grid.score(X_test, y_test):8.3f}{log_likelihood:17.2f}"
    )

# %%
# Everything that a pipeline does works with the autoencoder in it: ``chosen[:-1]`` transforms, and
# the latents have names.

encoder = searches["VAE"].best_estimator_[:-1]
Z = encoder.transform(X_test)
names = encoder.get_feature_names_out()

figure, ax = plt.subplots(figsize=(5.5, 4.4), layout="constrained")
scatter = ax.scatter(Z[:, 0], Z[:, 1], c=y_test, cmap="coolwarm", s=14)
ax.set(xlabel=names[0], ylabel=names[1])
ax.legend(scatter.legend_elements()[0], ["malignant", "benign"])
figure.savefig("pca_drop_in.png", dpi=110)
