"""
===================================================
A table of mixed columns, generated and conditioned
===================================================

442 patients with diabetes: age in whole years, sex, eight measurements and how the disease
progressed. ``likelihood="auto"`` takes the frame as it is, gives each column a distribution of its
kind, and generates patients with whole years and one of two sexes; all, or such as are asked for.
Before its first step the model is factor analysis of mixed data.
"""

# %%
# A frame as it comes
# -------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GridSearchCV, train_test_split

from skvae import VariationalAutoencoder
from skvae.starts import PrincipalComponents

frame = load_diabetes(as_frame=True, scaled=False).frame.astype({"age": int})
frame["sex"] = frame["sex"].map({1.0: "a", 2.0: "b"})
train, test = train_test_split(frame, random_state=0)

# %%
# How many latents?
# -----------------
# The score is the log-probability of a row, so a search chooses the number of latents as it would
# for PCA. It is compared with columns that know nothing of each other.

vae = VariationalAutoencoder(likelihood="auto", max_iter=60, random_state=0)
search = GridSearchCV(vae, {"n_components": [1, 2, 4]}, cv=3).fit(train)
alone = vae.set_params(max_iter=0, init=PrincipalComponents(0)).fit(train)
model = search.best_estimator_
print(search.best_params_)
for name, _, columns in model.likelihood_.columns:
    print(f"{name}: {', '.join(columns)}")
print(f"nats per test row: {alone.score(test):.2f} alone, {model.score(test):.2f} with latents")

# %%
# Generated rows beside real ones
# -------------------------------

rows = model.sample(len(frame), random_state=0)
figure, axes = plt.subplots(3, 4, figsize=(10, 6.9), layout="constrained")
axes.flat[-1].axis("off")
for ax, column in zip(axes.flat, frame, strict=False):
    tables = frame[column], rows[column]
    ax.set_title(column, fontsize=10)
    if column == "sex":
        for shift, table in zip((-0.2, 0.2), tables, strict=True):
            share = table.value_counts(normalize=True)
            ax.bar([shift, 1 + shift], [share.get("a", 0.0), share.get("b", 0.0)], width=0.4)
        ax.set_xticks([0, 1], ["a", "b"], fontsize=8)
    else:
        edges = np.histogram_bin_edges(frame[column], 20)
        for table in tables:
            ax.hist(table, edges, weights=np.full(len(table), 1 / len(table)), alpha=0.55)
    ax.tick_params(labelsize=8)
figure.supylabel("share of the rows", fontsize=10)
figure.legend(["real", "generated"], loc="outside upper right", ncols=2, fontsize=9)
figure.savefig("table_diabetes.png", dpi=120)
rows.head(3)

# %%
# Rows that are asked for
# -----------------------
# ``given`` fixes some cells and draws the others from their distribution given these: patients of
# 50 years, with a body mass index of 20 and of 35.

figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
drawn = {
    f"drawn, bmi {bmi:g}": model.sample(300, given={"age": 50, "bmi": bmi}, random_state=0)
    for bmi in (20.0, 35.0)
}
for ax, column in zip(axes, ("bp", "s5", "target"), strict=True):
    edges = np.histogram_bin_edges(frame[column], 20)
    ax.hist(frame[column], edges, density=True, color="0.85", label="all real rows")
    for label, table in drawn.items():
        ax.hist(table[column], edges, density=True, histtype="step", lw=1.8, label=label)
    ax.set_title(column, fontsize=10)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=9)
figure.savefig("table_given.png", dpi=120)
