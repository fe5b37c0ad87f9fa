"""
===============================================
An autoencoder for PCA, in the same grid search
===============================================

The pipeline of scaler, PCA and classifier is the commonest place of PCA. Here the autoencoder
takes that place, in the same pipeline and the same grid search, on the breast cancer data. Its
grid has one parameter more: ``beta``, the weight of the Kullback-Leibler term, by which a latent
space is smoothed (above 1) or sharpened (below 1).
"""

# %%
# Load the data
# -------------

from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skvae import VariationalAutoencoder

X, y = load_breast_cancer(return_X_y=True)


# %%
# One pipeline, two grids
# -----------------------


def search(reducer, grid):
    """Grid search over a pipeline whose middle step is ``reducer``."""
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("reduce", reducer), ("classify", LogisticRegression())]
    )
    return GridSearchCV(pipeline, grid, cv=3, n_jobs=2)


SIZES = [2, 5, 10]
SEARCHES = {
    "PCA": search(PCA(random_state=0), {"reduce__n_components": SIZES}),
    "VAE": search(
        VariationalAutoencoder(random_state=0),
        {"reduce__n_components": SIZES, "reduce__beta": [0.5, 1.0, 2.0]},
    ),
}


# %%
# Search and compare
# ------------------
# The accuracy of the chosen pipeline is taken on rows that the search has not seen, and so is the
# mean log-likelihood that its middle step gives to the scaled rows.


def main():
    """Run both searches and print a table."""
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    print(
        f"{'':5}{'latents':>9}{'beta':>7}{'cross-validated':>18}{'test':>8}{'log-likelihood':>17}"
    )
    for name, grid in SEARCHES.items():
        grid.fit(X_train, y_train)
        best = grid.best_params_
        print(
            f"{name:5}{best['reduce__n_components']:9}{best.get('reduce__beta', '–'):>7}"
            f"{grid.best_score_:18.3f}{grid.score(X_test, y_test):8.3f}"
            f"{log_likelihood(grid.best_estimator_, X_test):17.2f}"
        )
    encoder = SEARCHES["VAE"].best_estimator_[:-1]
    print("\nThree test rows in the autoencoder's first latents:")
    print("".join(f"{name:>26}" for name in encoder.get_feature_names_out()[:2]))
    for row in encoder.transform(X_test[:3]):
        print("".join(f"{value:26.2f}" for value in row[:2]))


def log_likelihood(pipeline, rows):
    """Mean log-likelihood of rows under the middle step."""
    return pipeline["reduce"].score(pipeline["scale"].transform(rows))


if __name__ == "__main__":
    main()
