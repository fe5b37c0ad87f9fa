"""
=============================
A search that gives up early
=============================

How many latents, and which networks? A search fits every candidate to the end, although most could
be told from the best after a few epochs. Here successive halving (Jamieson and Talwalkar 2016)
gives them up: at epochs 2, 4, 8, ... only the better half of those that came as far goes on. Each
fit tells its held-out value by :class:`skvae.callbacks.Prune`, which asks of a trial what Optuna's
have, ``report`` and ``should_prune``; with Optuna its own trial takes the place of ours.

It needs scikit-learn 1.9.
"""

# %%
# A study in a few lines
# ----------------------

import itertools
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skvae import VariationalAutoencoder
from skvae.callbacks import Prune, Pruned


class Trial:
    """A candidate, which goes on past epochs 2, 4, 8, ... if it is in the better half there."""

    others = []

    def __init__(self, params):
        self.params, self.values = params, {}

    def report(self, value, step):
        self.values[step] = value

    def should_prune(self):
        step = max(self.values)
        if step < 2 or step & (step - 1):
            return False
        rivals = [trial.values[step] for trial in self.others if step in trial.values]
        return bool(rivals) and self.values[step] < np.median(rivals)


# %%
# Search
# ------
# Nine candidates for the digits, once with pruning and once without.

X = load_digits().data / 16
grid = {
    "n_components": [8, 4, 2],
    "hidden_layer_sizes": [(128,), (64, 64), (16,)],
}
candidates = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def search(prune):
    """Fit all candidates; return the trials."""
    Trial.others = []
    for params in candidates:
        trial = Trial(params)
        vae = VariationalAutoencoder(max_iter=32, likelihood="bernoulli", random_state=0, **params)
        if prune:
            vae.set_callbacks(Prune(trial))
        try:
            vae.fit(X)
        except Pruned:
            trial.is_pruned = True
        else:
            trial.is_pruned = False
            trial.values = dict(enumerate(vae.validation_scores_[1:], 1))
        Trial.others.append(trial)
    return Trial.others


def best_of(trials):
    """The candidate with the highest held-out value of those that were not given up."""
    return max((t for t in trials if not t.is_pruned), key=lambda t: max(t.values.values()))


warnings.simplefilter("ignore", ConvergenceWarning)
results = {}
for name, prune in (("every fit to its end", False), ("pruned", True)):
    begin = time.perf_counter()
    results[name] = search(prune)
    n_epochs = sum(len(trial.values) for trial in results[name])
    best = best_of(results[name])
    print(
        f"{name:20}  {n_epochs:4} epochs, {time.perf_counter() - begin:4.1f} s; "
        f"best {best.params}, held-out {max(best.values.values()):.2f} nats per row"
    )

# %%
# Where the curves end
# --------------------

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
best = best_of(results["pruned"])
for trial in results["pruned"]:
    color = "C1" if trial is best else "0.6"
    ax.plot(list(trial.values), list(trial.values.values()), color=color, lw=1.5)
    if trial.is_pruned:
        ax.plot(*max(trial.values.items()), "x", color="0.3")
ax.set(
    xlabel="Epoch",
    ylabel="Held-out bound [nats per row]",
    title="Given up at a cross; the best in colour",
)
figure.savefig("pruned_search.png", dpi=150)
