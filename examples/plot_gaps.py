"""
=======================
A table with many gaps
=======================

569 tumours and thirty measurements of each, half of which are taken away at random. The
autoencoder is fitted to what is left, gaps and all, and ``impute`` fills them with what it expects
there. ``IterativeImputer`` predicts each column linearly from the others; at its start the
autoencoder is linear as well, factor analysis of the observed cells, and training bends it.

The model then answers a question that no row of the table is like: what a tumour is like of which
one measurement alone is known. That picture is written to ``gaps.png``, and to ``gaps_draws.png``
how cells that are drawn ten times for the gaps are distributed beside those observed.
"""

# %%
# Take half of the cells away
# ---------------------------
# Columns are in units of their standard deviation, so that their errors can be compared.

import argparse
from pathlib import Path

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
# The bound of several draws fits the model to what imputing asks of it. No row is complete, and
# none is left out.

vae = VariationalAutoencoder(
    12, likelihood=Gaussian("feature"), objective=ImportanceWeighted(10), random_state=0
)
start = VariationalAutoencoder(12, likelihood=Gaussian("feature"), max_iter=0)
FILLED = {
    "column's mean": SimpleImputer().fit_transform(with_gaps),
    "IterativeImputer": IterativeImputer(random_state=0).fit_transform(with_gaps),
    "start": start.fit(with_gaps).impute(with_gaps, n_draws=200),
    "autoencoder": vae.fit(with_gaps).impute(with_gaps, n_draws=200),
}
for name, filled in FILLED.items():
    print(f"squared error of {name}: {np.square(filled - full)[removed].mean():.3f}")


# %%
# One measurement is known
# ------------------------
# ``sample(given=...)`` draws the others, spread as tumours like it are.

KNOWN, ASKED = "mean radius", "worst area"
RADII = [-1.0, 0.0, 1.0, 2.0, 3.0]


def draw_given(ax):
    """Draw rows that are given a radius, over the whole table."""
    x, y = full[:, NAMES.index(KNOWN)], full[:, NAMES.index(ASKED)]
    ax.scatter(x, y, s=6, c="0.7", label="all tumours")
    for radius in RADII:
        rows = vae.sample(100, given={NAMES.index(KNOWN): radius}, random_state=0)
        label = "drawn, given a radius" if radius == RADII[0] else None
        area = rows[:, NAMES.index(ASKED)]
        ax.scatter(np.full(100, radius), area, s=6, c="C1", alpha=0.5, label=label)
    ax.set(xlabel=f"{KNOWN}, standardised", ylabel=f"{ASKED}, standardised")
    ax.legend(loc="upper left", fontsize=8)


# %%
# The picture
# -----------


def draw(path):
    """Draw filled cells against true ones, errors of columns, and what a radius tells."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    limits = -3.0, 6.0
    for name, color in (("IterativeImputer", "C0"), ("autoencoder", "C1")):
        axes[0].scatter(full[removed], FILLED[name][removed], s=2, c=color, alpha=0.3, label=name)
    axes[0].plot(limits, limits, "k", lw=0.5)
    axes[0].set(xlabel="removed cell", ylabel="filled in", xlim=limits, ylim=limits)
    axes[0].legend(loc="upper left", fontsize=8, markerscale=5)
    errors = {
        name: np.nanmean(np.where(removed, np.square(filled - full), np.nan), 0)
        for name, filled in FILLED.items()
    }
    order = np.argsort(errors["autoencoder"])
    for name, style in zip(FILLED, ("k:", "C0", "C1--", "C1"), strict=True):
        axes[1].plot(errors[name][order], style, label=name)
    axes[1].set(xlabel="column, the easiest first", ylabel="mean squared error", ylim=(0, 1.3))
    axes[1].legend(loc="center left", fontsize=8)
    draw_given(axes[2])
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
# Draws for the gaps
# ------------------
# Each fill is as spread as what was observed; how fills differ is what the model does not know.
# They are the start's, whose draws are exact: of some rows so few of the network's would count that
# ``sample`` would warn.


def draw_fills(path):
    """Draw the measurements with the most gaps, filled ten times."""
    display = ImputationDisplay.from_estimator(start, with_gaps, feature_names=NAMES)
    display.figure_.savefig(path, dpi=120)
    plt.close(display.figure_)


def main():
    """Draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="folder of the pictures (default: the current one)",
    )
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    for name, draw_one in {"gaps.png": draw, "gaps_draws.png": draw_fills}.items():
        draw_one(output / name)
        print(f"wrote {output / name}")


if __name__ == "__main__":
    main()
