"""What the estimators' documentation has in common: one text for each parameter and attribute."""

from __future__ import annotations

import re
from typing import TypeVar

Estimator = TypeVar("Estimator", bound=type)

# What stands in a docstring where the text below goes.
_PLACE = "As in every autoencoder."

_TEXTS = """
n_components
    Number of latents; two can be drawn. As in PCA, a float is the share of variance to
    explain, "mle" is Minka's choice and None is ``min(n_samples, n_features)``; all three are
    read off the start's spectrum. An int may exceed the number of features; what the data
    cannot fill starts with no effect.
hidden_layer_sizes
    Widths of the encoder's hidden layers; the decoder has them in reverse. The linear path
    leaves little for more than one layer to do on a table. ``()`` is the linear model.
activation
    Of the hidden layers. The cheapest by default.
decoder
    The same for the decoder: it maps (rows, n_components) to (rows, n_features).
likelihood
    p(x|z). "gaussian" learns one noise variance, as probabilistic PCA has it;
    ``skvae.likelihoods.Gaussian(noise="feature")`` learns one for each feature. "bernoulli"
    takes X in [0, 1].
whiten
    Whether ``transform`` scales active latents to unit variance, as in PCA. Not by default:
    distances between latents in X's units serve neighbours better.
batch_size
    Rows a step. "auto" is a twentieth of the rows, within 32 and 256: enough steps an epoch
    on a small table, and cheap ones on a large one. Networks so wide that larger batches are
    no cheaper by the row get fewer rows, 64 at least, and so more steps.
learning_rate_init
    Adam's first step length, annealed to zero over ``max_iter`` epochs along half a cosine.
    The working units make it fit data of any scale; twice Adam's customary value reached more
    held-out likelihood on tables and images.
max_iter
    Most epochs, as in ``MLPRegressor``. 0 gives the start itself.
tol
    Least gain of the held-out objective, in nats a feature, that counts as one:
    ``MLPRegressor``'s, by feature, so that it means the same for tables of any width.
early_stopping
    Whether to hold rows out, keep the epoch with the best held-out objective, and stop after
    ``n_iter_no_change`` epochs without a gain. The PCA start is left only where a paired
    t-test on the held-out rows shows a gain (90 % confidence); else it is refitted on all
    rows. False trains on all rows for ``max_iter`` epochs and keeps the last.
validation_fraction
    Share of rows held out, as in ``MLPRegressor``. With fewer than two such rows none are, and
    the PCA start is kept: nothing could tell a gain from chance. A warning then says so.
n_iter_no_change
    Epochs without a gain of ``tol`` after which training stops, as in ``MLPRegressor``.
warm_start
    Whether ``fit`` goes on from the fitted networks, in their units.
device
    "cpu", "cuda", "cuda:1", "mps" or "xpu", or a ``torch.device`` of these. "auto" is a CUDA GPU
    where there is one and a step is large enough to gain, outside joblib's workers; else the CPU.
    Inference is on the CPU.
precision
    What matrix products are taken in while training on a device. "bfloat16" is faster on a recent
    GPU, to three digits; parameters, sums and densities stay float32. On the CPU both are float32.
random_state
    Seeds the split, the start, the order of rows and the noise. Torch's global generator is
    neither read nor moved.
verbose
    Whether to print each epoch's loss and held-out objective.
n_components_
    Number of latents.
mean_
    Mean of X.
components_
    Mean over training rows of dE[x|z]/dz_j, over its effect: PCA's axes at the start.
explained_variance_ratio_
    ``explained_variance_`` over the total variance of X.
noise_variance_
    Mean of Var[x|z], one number where the features share it.
loss_curve_
    Mean training loss of each epoch: minus the objective, in nats of X in its own units. Of a
    stream of ``partial_fit`` it and ``history_`` hold the last 1000 passes.
validation_scores_
    Held-out objective of the start and of each epoch, in nats of X in its own units; None
    without held-out rows.
best_validation_score_
    The best of ``validation_scores_``.
n_iter_
    Number of epochs run, with all passes of a stream.
n_skipped_steps_
    Number of steps skipped because their gradient was not finite.
likelihood_
    The likelihood that was used.
device_
    The device that trained.
latent_density_
    The fitted clone of ``latent_density``, of latents as ``encode`` gives them; there where one
    was given.
n_features_in_
    Number of features.
feature_names_in_
    Names of the features, where X has names that are all strings.
"""
TEXTS = dict(re.findall(r"(?m)^(\w+)\n((?: {4}.*\n)+)", _TEXTS))


def with_shared_docs(estimator: Estimator) -> Estimator:
    """Write the common texts where the class's docstring says "As in every autoencoder."."""

    def text(match: re.Match) -> str:
        return match["head"] + re.sub("(?m)^", " " * 4, TEXTS[match["name"]].rstrip("\n"))

    place = rf"(?m)^(?P<head> {{4}}(?P<name>\w+) : (?:.*\n)(?: {{8,}}.*\n)*?) {{8}}{_PLACE}$"
    if estimator.__doc__ is not None:  # python -OO leaves none
        estimator.__doc__ = re.sub(place, text, estimator.__doc__)
    return estimator
