"""
==========================
New rows beside real ones
==========================

A fitted autoencoder is a distribution over rows, and so is PCA: Tipping and Bishop (1999) read it
as a Gaussian, whose log-likelihood is PCA's ``score``. Here both learn the wine data, thirteen
measurements of 178 wines, and generate as many new ones.

Then a random forest is asked to tell real wines from new ones, on wines that it was not trained
on: the closer its area under the ROC curve is to 0.5, the better the imitation.
"""

# %%
# Fit and generate
# ----------------
# ``sample`` gives rows as the last step knows them; ``pipe[:-1].inverse_transform`` takes them back
# to the units of the measurements.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VariationalAutoencoder

wine = load_wine()
X, NAMES = wine.data, wine.feature_names
vae = make_pipeline(StandardScaler(), VariationalAutoencoder(5, random_state=0)).fit(X)
pca = make_pipeline(StandardScaler(), PCA(5)).fit(X)


def generate_by_autoencoder(n, seed):
    """Draw wines from the variational autoencoder."""
    return vae[:-1].inverse_transform(vae[-1].sample(n, random_state=seed))


def generate_by_pca(n, seed):
    """Draw wines from the Gaussian that is PCA's model."""
    generator = np.random.default_rng(seed)
    rows = generator.multivariate_normal(pca[-1].mean_, pca[-1].get_covariance(), n)
    return pca[:-1].inverse_transform(rows)


# %%
# Can a forest tell them apart?
# -----------------------------


def two_sample_auroc(real, new):
    """Cross-validated area under the ROC curve of a forest that tells real rows from new ones."""
    rows = np.vstack([real, new])
    is_real = np.repeat([1, 0], [len(real), len(new)])
    forest = RandomForestClassifier(random_state=0)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(forest, rows, is_real, cv=folds, scoring="roc_auc").mean()


print("AUROC of a forest that tells real wines from new ones, mean and range of five draws:")
generated = {}
makers = {"Variational autoencoder": generate_by_autoencoder, "PCA": generate_by_pca}
for name, make in makers.items():
    draws = [make(len(X), seed) for seed in range(5)]
    scores = [two_sample_auroc(X, draw) for draw in draws]
    print(f"{name:26}{np.mean(scores):.3f}  ({min(scores):.3f} to {max(scores):.3f})")
    generated[name] = draws[0]

# %%
# Look at them
# ------------
# Real wines are grey, and the new ones drawn over them.

PAIRS = [("flavanoids", "color_intensity"), ("alcohol", "proline")]
figure, axes = plt.subplots(
    2, 2, figsize=(8, 6.4), sharex="col", sharey="col", layout="constrained"
)
for (name, rows), row_of_axes in zip(generated.items(), axes, strict=True):
    row_of_axes[0].set_title(name, loc="left")
    for (first, second), ax in zip(PAIRS, row_of_axes, strict=True):
        i, j = NAMES.index(first), NAMES.index(second)
        ax.scatter(X[:, i], X[:, j], s=16, color="0.7", label="real")
        ax.scatter(rows[:, i], rows[:, j], s=16, color="C0", label="new", alpha=0.7, lw=0)
        ax.set(xlabel=first, ylabel=second.replace("_", " "))
        ax.spines[["top", "right"]].set_visible(False)
axes[0, 0].legend(frameon=False, handletextpad=0.1)
figure.savefig("generated.png", dpi=110)
