"""
========================================
Constraints that change while training
========================================

The bound pulls the posterior of every row towards the prior with one constant weight, ``beta=1``.
Kingma and Welling (2013) left open what other constraints, and constraints that change while
training, would do to the latent space. Here is what they do, for two latents of scikit-learn's
digits. :doc:`/schedules` says which to take for what.
"""

# %%
# Eight ways to hold two latents
# ------------------------------
# An object in ``beta`` changes the weight over the epochs, or by what the steps show. The last
# one constrains all rows together rather than each: no noise, no KL term, and a penalty on the
# distance between the latents' distribution and the prior.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skvae import VariationalAutoencoder
from skvae.regularizers import MaximumMeanDiscrepancy
from skvae.schedules import GECO, Capacity, Cyclical, KLController, WarmUp

X, y = load_digits(return_X_y=True)
X, y = X[:1000] / 16, y[:1000]
CONSTRAINTS = {
    "constant, 1": {"beta": 1.0},
    "constant, 2": {"beta": 2.0},
    "rises to 1: WarmUp(20)": {"beta": WarmUp(20)},
    "rises three times: Cyclical(8, 3)": {"beta": Cyclical(8, 3)},
    "KL of 4 nats: KLController(4)": {"beta": KLController(4.0)},
    "KL rises to 8 nats: Capacity(8, 20)": {"beta": Capacity(8.0, 20)},
    "reconstruction of 22 nats: GECO(22)": {"beta": GECO(22.0)},
    "all rows together: MMD": {
        "beta": 0.0,
        "posterior": "deterministic",
        "regularizer": MaximumMeanDiscrepancy(10.0),
    },
}

models = {}
for name, constraint in CONSTRAINTS.items():
    vae = VariationalAutoencoder(
        2,
        likelihood="bernoulli",
        hidden_layer_sizes=(64,),
        max_iter=40,
        early_stopping=False,
        random_state=0,
        **constraint,
    )
    models[name] = vae.fit(X)

# %%
# The weight, and what comes of it
# --------------------------------
# The weight is drawn in colour and the KL in black, both by epoch. An adaptive schedule moves the
# weight until the KL, or the reconstruction, is what was asked for.

figure, axes = plt.subplots(2, 4, figsize=(12, 5), layout="constrained", sharex=True)
for ax, (name, vae) in zip(axes.flat, models.items(), strict=True):
    epochs = np.arange(1, vae.n_iter_ + 1)
    ax.plot(epochs, vae.history_["beta"], "C1", label="beta")
    ax.plot(epochs, vae.history_["kl"], "k", label="KL [nats per row]")
    ax.set_title(name, fontsize=9)
axes[0, 0].legend(fontsize=8)
figure.supxlabel("epoch", fontsize=10)
figure.savefig("schedules_terms.png", dpi=110)

# %%
# The latent space
# ----------------
# Posterior means, coloured by digit; the circles hold 39 % and 86 % of a standard normal prior. A
# large weight pulls the rows together and blurs what is decoded; a small one lets them spread far
# outside of the prior, so that draws from it decode to nothing that was seen. A weight that ends at
# 1 ends near the constant one, but by another way. Under the last constraint the cloud as a whole
# follows the prior, although no single row is held to it.

figure, axes = plt.subplots(2, 4, figsize=(12, 6.4), layout="constrained")
for ax, (name, vae) in zip(axes.flat, models.items(), strict=True):
    mean, _ = vae.encode(X)
    ax.scatter(*mean.T, c=y, cmap="tab10", s=4, linewidths=0)
    for radius in (1, 2):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, color="0.3", lw=0.8))
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_title(name, fontsize=9)
figure.savefig("schedules_latents.png", dpi=110)

# %%
# In numbers
# ----------
# Of each: the nats that a row costs, KL and reconstruction; and how far the rows' latents are from
# the prior, in the mean square of a coordinate (1 under the prior).

print(f"{'':38}{'KL':>7}{'log p(x|z)':>12}{'mean square':>13}")
for name, vae in models.items():
    mean, std = vae.encode(X)
    square = (mean**2 + std**2).mean()
    terms = vae.history_["kl"][-1], vae.history_["log_likelihood"][-1]
    print(f"{name:38}{terms[0]:7.2f}{terms[1]:12.2f}{square:13.2f}")
