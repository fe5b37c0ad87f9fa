"""
====================================================
Which methods does a docstring describe? Wide labels
====================================================

Text is wide and sparse: thousands of words, most in a handful of rows. Here the rows are the
docstrings of scikit-learn's own estimators, and a label is a method that the estimator has. With so
few rows a network that begins at random learns slowly, and its scaling makes much of rare words.
:class:`~skvae.CanonicalCorrelatedAutoencoder` begins at ridge regression of the label sets, and
leaves it only where held-out rows show a gain.
"""

# %%
# Docstrings and methods
# ----------------------
# A ``CountVectorizer`` makes a sparse matrix of words, which ``fit`` takes as it is. A docstring
# lists parameters and attributes; of the methods it shows what its example happens to call.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils import all_estimators

from skvae import CanonicalCorrelatedAutoencoder

METHODS = [
    "predict",
    "predict_proba",
    "decision_function",
    "transform",
    "inverse_transform",
    "partial_fit",
    "score_samples",
    "fit_predict",
]
names, classes = zip(*all_estimators(), strict=True)
labels = pd.DataFrame(
    [[int(hasattr(cls, method)) for method in METHODS] for cls in classes],
    index=names,
    columns=METHODS,
)
texts = [cls.__doc__ for cls in classes]
text_train, text_test, Y_train, Y_test = train_test_split(
    texts, labels, test_size=0.3, random_state=0
)
words = CountVectorizer(binary=True, min_df=3)
X_train, X_test = words.fit_transform(text_train), words.transform(text_test)
print(f"{X_train.shape[0]} docstrings of {X_train.shape[1]} words, {len(METHODS)} labels")

# %%
# Beside a logistic regression
# ----------------------------
# The F1 of docstrings that no model has seen. A start at random, with no linear path, is what the
# classifier of the paper has.

models = {
    "one against rest": OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=1000)),
    "from a random start": CanonicalCorrelatedAutoencoder(
        init="random", max_iter=60, random_state=0
    ),
    "from the linear start": CanonicalCorrelatedAutoencoder(max_iter=60, random_state=0),
}
print(f"{'':24}{'micro F1':>10}{'macro F1':>10}")
for name, model in models.items():
    predicted = model.fit(X_train, Y_train).predict(X_test)
    f1 = [f1_score(Y_test, predicted, average=average) for average in ("micro", "macro")]
    print(f"{name:24}{f1[0]:10.3f}{f1[1]:10.3f}")

# %%
# Labels come back by their names
# -------------------------------
# ``set_output(predict="pandas")`` gives frames, and ``decision_function`` says how far each label
# is from its threshold.

model.set_output(predict="pandas")
margins = model.decision_function(X_test)
margins.index = Y_test.index
some = margins.loc[Y_test.sort_values(METHODS, ascending=False).index[::5]]

figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
image = ax.imshow(some, cmap="RdBu", vmin=-4, vmax=4, aspect="auto")
for row, name in enumerate(some.index):
    for column, method in enumerate(METHODS):
        if Y_test.loc[name, method]:
            ax.plot(column, row, "o", color="black", markersize=4)
ax.set_xticks(range(len(METHODS)), METHODS, rotation=30, ha="right")
ax.set_yticks(range(len(some)), some.index)
ax.set_title("Blue is predicted; a dot is a method that there is")
figure.colorbar(image, label="log-odds above the threshold")
figure.savefig("words.png", dpi=110)
