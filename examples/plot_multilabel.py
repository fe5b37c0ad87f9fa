"""
==========================================================
Handwritten digits as a seven-segment display shows them
==========================================================

A seven-segment display shows a digit by some of its seven bars: a label set, given by the digit
alone. Here the bars are learned from scikit-learn's handwritten digits, by a model that maps images
and label sets to one latent space. Ten of the 128 label sets occur, and nobody tells the model
which.
"""

# %%
# Label sets
# ----------
# The bars from the top, clockwise around, the middle one last.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import CanonicalCorrelatedAutoencoder
from skvae.display import LatentSpaceDisplay

BARS = {
    0: "1111110",
    1: "0110000",
    2: "1101101",
    3: "1111001",
    4: "0110011",
    5: "1011011",
    6: "1011111",
    7: "1110000",
    8: "1111111",
    9: "1111011",
}
SETS = np.array([[int(bar) for bar in bars] for bars in BARS.values()])

# Ends (x, y) of each bar on a display of width 1 and height 2.
ENDS = [
    ((0, 2), (1, 2)),
    ((1, 2), (1, 1)),
    ((1, 1), (1, 0)),
    ((0, 0), (1, 0)),
    ((0, 1), (0, 0)),
    ((0, 2), (0, 1)),
    ((0, 1), (1, 1)),
]

X, digit = load_digits(return_X_y=True)
X_train, X_test, digit_train, digit_test = train_test_split(
    X, digit, test_size=0.3, stratify=digit, random_state=0
)
Y_train, Y_test = SETS[digit_train], SETS[digit_test]


# %%
# Some labels are missing
# -----------------------
# The F1 of unseen images, beside that of a logistic regression for each bar: with all training
# labels, and with three tenths of them missing at random. Ours is told which are missing; the
# regression can only be given zeros.

missing = np.random.default_rng(0).random(Y_train.shape) < 0.3
regression = make_pipeline(
    StandardScaler(), OneVsRestClassifier(LogisticRegression(C=0.1, max_iter=300))
)
autoencoder = CanonicalCorrelatedAutoencoder(max_iter=25, n_folds=1, random_state=0)
targets = {
    "one against rest": (regression, Y_train, np.where(missing, 0, Y_train)),
    "canonical-correlated": (autoencoder, Y_train, np.where(missing, np.nan, Y_train)),
}
print(f"{'macro-averaged F1':22}{'all labels':>12}{'30 % missing':>14}")
for name, (model, *labels) in targets.items():
    scores = [
        f1_score(Y_test, model.fit(X_train, Y).predict(X_test), average="macro") for Y in labels
    ]
    print(f"{name:22}{scores[0]:12.3f}{scores[1]:14.3f}")

# %%
# Draw the shared latent space
# ----------------------------
# ``transform`` maps images, ``encode_labels`` label sets, which are added to the display. Unseen
# images lie around the code of their label set; beside them are some images with the bars that are
# read off them.


def plot_latents(model, ax):
    """Scatter the unseen images, with the code of each digit's label set."""
    LatentSpaceDisplay.from_estimator(
        model, X_test, digit_test, ax=ax, labels="none", marginals=False
    )
    box = {"boxstyle": "circle,pad=0.25", "fc": "white", "lw": 1.5}
    for number, place in enumerate(model.encode_labels(SETS)):
        ax.text(*place, str(number), ha="center", va="center", weight="bold", bbox=box)
    ax.set_title("Unseen images (dots) and\nlabel sets of digits (circles)", size=11)


def plot_displays(model, figure):
    """Draw one unseen image of each digit, and the bars that are read off it."""
    probability, predicted = model.predict_proba(X_test), model.predict(X_test)
    axes = figure.subplots(5, 4)
    for number, (picture, display) in enumerate(axes.reshape(10, 2)):
        row = np.flatnonzero(digit_test == number)[0]
        picture.imshow(X_test[row].reshape(8, 8), cmap="gray_r")
        for (x, y), p, lit in zip(ENDS, probability[row], predicted[row], strict=True):
            colour = plt.cm.Reds(0.15 + 0.75 * p) if lit else "0.9"
            display.plot(*zip(x, y, strict=True), color=colour, lw=5, solid_capstyle="round")
        display.set(xlim=(-0.8, 1.8), ylim=(-0.3, 2.3), aspect="equal")
        for ax in (picture, display):
            ax.set_axis_off()
    figure.suptitle("Images and the bars read off them", size=11)


model = CanonicalCorrelatedAutoencoder(2, max_iter=40, n_folds=1, random_state=0)
model.fit(X_train, Y_train)
figure = plt.figure(figsize=(9, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(5, 4))
plot_latents(model, left.subplots())
plot_displays(model, right)
figure.savefig("multilabel_latent.png", dpi=110)
