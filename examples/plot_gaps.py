"""
=======================
A table with many gaps
=======================

569 tumours and thirty measurements of each, half of which are taken away at random. The
autoencoder is fitted to what is left, gaps and all, and ``impute`` fills them with what it expects
there. ``IterativeImputer`` predicts each column linearly from the others; at its start the
autoencoder is linear as well, factor analysis of the observed cells, and training bends it.

The model then answers a question that no row of the table is like: what a tumour is like of which
one measurement alone is known. Last, a slope is estimated from a table with gaps, with a standard
error that takes them into account.
"""

# %%
# Take half of the cells away
# ---------------------------
# Columns are in units of their standard deviation, so that their errors can be compared.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

from skvae import VariationalAutoencoder
from skvae.display import ImputationDisplay
from skvae.likelihoods import Gaussian
from skvae.objectives import ImportanceWeighted

bunch = load_breast_cancer()
NAMES = bunch.feature_names.tolist()
full = (bunch.data - bunch.data.mean(0)) / bunch.data.std(0)
removed = np.random.RandomState(0).rand(*full.shape) < 0.5
with_gaps = np.where(removed, np.nan, full)

# %%
# Fit and fill
# ------------
# The importance-weighted bound fits the model to what imputing asks of it. No row is complete, and
# none is left out.

vae = VariationalAutoencoder(
    12, likelihood=Gaussian("feature"), objective=ImportanceWeighted(10), random_state=0
)
start = VariationalAutoencoder(12, likelihood=Gaussian("feature"), max_iter=0)
filled = {
    "column's mean": SimpleImputer().fit_transform(with_gaps),
    "IterativeImputer": IterativeImputer(random_state=0).fit_transform(with_gaps),
    "start": start.fit(with_gaps).impute(with_gaps, n_draws=100),
    "autoencoder": vae.fit(with_gaps).impute(with_gaps, n_draws=100),
}
for name, rows in filled.items():
    print(f"squared error of {name}: {np.square(rows - full)[removed].mean():.3f}")

# %%
# One measurement is known
# ------------------------
# ``sample(given=...)`` draws the others, spread as in tumours like it.

KNOWN, ASKED = NAMES.index("mean radius"), NAMES.index("worst area")
RADII = [-1.0, 0.0, 1.0, 2.0, 3.0]
drawn = [vae.sample(100, given={KNOWN: radius}, random_state=0)[:, ASKED] for radius in RADII]

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
limits = -3.0, 6.0
for name, color in (("IterativeImputer", "C0"), ("autoencoder", "C1")):
    axes[0].scatter(full[removed], filled[name][removed], s=2, c=color, alpha=0.3, label=name)
axes[0].plot(limits, limits, "k", lw=0.5)
axes[0].set(xlabel="removed cell", ylabel="filled in", xlim=limits, ylim=limits)
axes[0].legend(loc="upper left", fontsize=8, markerscale=5)
errors = {
    name: np.nanmean(np.where(removed, np.square(rows - full), np.nan), 0)
    for name, rows in filled.items()
}
order = np.argsort(errors["autoencoder"])
for name, style in zip(filled, ("k:", "C0", "C1--", "C1"), strict=True):
    axes[1].plot(errors[name][order], style, label=name)
axes[1].set(xlabel="column, the easiest first", ylabel="mean squared error", ylim=(0, 1.3))
axes[1].legend(loc="center left", fontsize=8)
axes[2].scatter(full[:, KNOWN], full[:, ASKED], s=6, c="0.7", label="all tumours")
axes[2].scatter(
    np.repeat(RADII, 100), np.ravel(drawn), s=6, c="C1", alpha=0.5, label="drawn, given a radius"
)
axes[2].set(xlabel="mean radius, standardised", ylabel="worst area, standardised")
axes[2].legend(loc="upper left", fontsize=8)
figure.savefig("gaps.png", dpi=120)

# %%
# Draws for the gaps
# ------------------
# Each fill is as spread as what was observed; how fills differ is what the model does not know.
# They are the start's, whose draws are exact: of some rows so few of the network's would count that
# ``sample`` would warn.

display = ImputationDisplay.from_estimator(start, with_gaps, n_fills=5, feature_names=NAMES)
display.figure_.savefig("gaps_draws.png", dpi=120)

# %%
# How sure is an estimate?
# ------------------------
# What does a tumour's smoothness tell of its compactness, if three tenths of the cells are missing?
# Filled tables pretend to know their gaps, so a slope looks surer than it is. Instead the gaps are
# *drawn* ten times, and Rubin's rules (1987) add the spread between the ten slopes to the variance
# within each.

table = full[:, :10]
holes = np.where(np.random.RandomState(0).rand(*table.shape) < 0.3, np.nan, table)
PAIR = [NAMES.index("mean smoothness"), NAMES.index("mean compactness")]


def slope(rows):
    """Least-squares slope of compactness on smoothness, and its variance."""
    x, y = rows[:, PAIR].T
    coefficients, covariance = np.polyfit(x, y, 1, cov=True)
    return coefficients[0], covariance[0, 0]


linear = VariationalAutoencoder(4, likelihood=Gaussian("feature"), max_iter=0).fit(holes)
fills = linear.sample(10, given=holes, random_state=0).reshape(len(holes), 10, -1)
slopes, variances = np.transpose([slope(fills[:, i]) for i in range(10)])
estimates = {
    "without gaps": slope(table),
    "complete pairs only": slope(holes[~np.isnan(holes[:, PAIR]).any(axis=1)]),
    "gaps filled by means": slope(SimpleImputer().fit_transform(holes)),
    "gaps filled by expectations": slope(linear.impute(holes, n_draws=100)),
    "gaps drawn, Rubin's rules": (slopes.mean(), variances.mean() + 1.1 * slopes.var(ddof=1)),
}
for name, (estimate, variance) in estimates.items():
    print(f"{name:30}{estimate:6.3f} ± {variance**0.5:.3f}")
