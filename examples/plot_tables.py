"""
========================
A table of mixed columns
========================

442 patients with diabetes: age in whole years, sex, eight measurements and how the disease
progressed. ``likelihood="auto"`` takes the frame as it is, gives each column a distribution of its
kind, and generates patients with whole years and one of two sexes. Before its first step the model
is factor analysis of mixed data.

Where the environment variable ``SKVAE_DATA`` names a folder with ``titanic.csv`` and
``penguins.csv`` of seaborn's data, the passengers and penguins without gaps are drawn, too. The
pictures are written to ``table_diabetes.png`` and so on.
"""

# %%
# Frames as they come
# -------------------
# Names, tickets and cabins are nearly all different: of such columns nothing can be learnt, and
# "auto" says so. They are left out.

import argparse
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split

from skvae import VariationalAutoencoder
from skvae.starts import PrincipalComponents


def read_frames():
    """Read the frames that are at hand, by name."""
    diabetes = load_diabetes(as_frame=True, scaled=False).frame.astype({"age": int})
    frames = {"diabetes": diabetes.assign(sex=diabetes["sex"].map({1.0: "a", 2.0: "b"}))}
    folder = os.environ.get("SKVAE_DATA")
    if folder is not None:
        titanic = pd.read_csv(Path(folder) / "titanic.csv")
        frames["titanic"] = titanic.drop(columns=["name", "ticket", "cabin"]).dropna()
        frames["penguins"] = pd.read_csv(Path(folder) / "penguins.csv").dropna()
    return frames


# %%
# How many latents?
# -----------------
# The score is the log-probability of a row, so a search chooses the number of latents as it would
# for PCA. It is compared with columns that know nothing of each other.


def fit(frame):
    """Choose the number of latents on the training rows, and say what the test rows are worth."""
    train, test = train_test_split(frame, random_state=0)
    vae = VariationalAutoencoder(likelihood="auto", max_iter=60, random_state=0)
    search = GridSearchCV(vae, {"n_components": [1, 2, 4]}, cv=3).fit(train)
    alone = vae.set_params(max_iter=0, init=PrincipalComponents(0)).fit(train)
    print(search.best_params_, search.best_estimator_.likelihood_, sep="\n")
    print(
        f"nats per test row: {alone.score(test):.2f} for independent columns, "
        f"{search.score(test):.2f} with latents\n"
    )
    return search.best_estimator_


# %%
# Generated rows beside real ones
# -------------------------------


def draw(frame, rows, path):
    """Draw each column's shares or histogram, of real rows and of as many generated ones."""
    n_wide = 4
    n_high = -(-frame.shape[1] // n_wide)
    figure, axes = plt.subplots(n_high, n_wide, figsize=(10, 2.3 * n_high), layout="constrained")
    for ax in axes.flat[frame.shape[1] :]:
        ax.axis("off")
    for ax, name in zip(axes.flat, frame, strict=False):
        real, new = frame[name], rows[name]
        ax.set_title(name, fontsize=10)
        if real.nunique() <= 10:
            shares = [table.value_counts(normalize=True) for table in (real, new)]
            levels = sorted(set(real))
            for shift, share in zip((-0.2, 0.2), shares, strict=True):
                heights = [share.get(level, 0.0) for level in levels]
                ax.bar(np.arange(len(levels)) + shift, heights, width=0.4)
            ax.set_xticks(range(len(levels)), levels, fontsize=8)
        else:
            edges = np.histogram_bin_edges(real, 20)
            for table in (real, new):
                ax.hist(table, edges, weights=np.full(len(table), 1 / len(table)), alpha=0.55)
        ax.tick_params(labelsize=8)
    figure.supylabel("share of the rows", fontsize=10)
    figure.legend(["real", "generated"], loc="outside upper right", ncols=2, fontsize=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)


# %%
# Run it
# ------


def main():
    """Fit, generate and draw."""
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
    for name, frame in read_frames().items():
        print(name)
        rows = fit(frame).sample(len(frame), random_state=0)
        print(rows.head(3).to_string(index=False))
        draw(frame, rows, output / f"table_{name}.png")
        print(f"wrote {output / f'table_{name}.png'}\n")


if __name__ == "__main__":
    main()
