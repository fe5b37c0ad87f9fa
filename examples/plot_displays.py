"""
================================
What a fitted autoencoder shows
================================

``skvae.display`` draws a fitted estimator in six ways, each in one line, alone or at the end of a
pipeline. Here it is thirteen measurements of 178 wines, in their own units although the model sees
them standardised.
"""

# %%
# Fit
# ---

import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skvae import LatentExplorer, VariationalAutoencoder
from skvae.display import (
    ComponentsDisplay,
    LatentGridDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    ReconstructionDisplay,
    TrainingDisplay,
)

wine = load_wine()
X, y, names = wine.data, wine.target, wine.feature_names
pipe = make_pipeline(StandardScaler(), VariationalAutoencoder(4, random_state=0)).fit(X)

# %%
# Draw
# ----
# Every display takes the axes to draw on; without them it makes a figure of its own. The six are:
# where the wines lie beside the prior, what a grid of places in the latent space is decoded to,
# what one latent does to the measurements that follow it most, how wines come back, how training
# went, and what each latent explains beside PCA's components.

figure = plt.figure(figsize=(15, 11.5), layout="constrained")
grid = figure.subplots(2, 3)
LatentSpaceDisplay.from_estimator(pipe, X, y, ax=grid[0, 0])
LatentGridDisplay.from_estimator(pipe, feature_names=names, ax=grid[0, 1])
LatentTraversalDisplay.from_estimator(
    pipe, components=[0, 1, 2], feature_names=names, ax=grid[0, 2]
)
ReconstructionDisplay.from_estimator(pipe, X[::20], feature_names=names, ax=grid[1, 0])
TrainingDisplay.from_estimator(pipe, ax=grid[1, 1])
ComponentsDisplay.from_estimator(pipe, X, ax=grid[1, 2])
figure.savefig("displays.png", dpi=70)

# %%
# Move through the latent space
# -----------------------------
# ``LatentExplorer`` is a page with no network and no Python behind it. Drag in the plane, or use
# the arrow keys, and see what is decoded there; ``save("explorer.html")`` writes it to a file.

LatentExplorer.from_estimator(pipe, X, y, feature_names=names)
