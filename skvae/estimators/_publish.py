"""From a fit to an estimator's state and its public attributes."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from skvae.estimators._read import Read
from skvae.fitting import TERMS, Fit
from skvae.inference import (
    Fitted,
    Trained,
    latent_moments,
    latent_report,
    pool,
    report_rows,
)
from skvae.schedules import Schedule
from skvae.tables import Rows, read_missingness
from skvae.training import Epoch, Outcome

# Passes of a stream whose history is kept.
_KEPT_PASSES = 1000


def read_fit(
    fit: Fit,
    read: Read,
    beta: Schedule,
    seed: int,
    *,
    keep: bool,
    past: Fitted | None = None,
) -> Fitted:
    """Read off a trained model all that is to be kept.

    ``read`` is its training rows, ``beta`` is as training left it, and ``seed`` is that of the
    draws that all rows share. ``keep`` says whether the optimiser's state can be used later, and
    ``past`` is the state of a stream before this pass.
    """
    model = fit.model
    trained = Trained(
        architecture=model.architecture,
        view=fit.view,
        parameters=model.flat.values.detach().cpu().numpy().copy(),
        buffers=_arrays(model.buffers),
        layout=model.layout,
    )
    moments = _moments(trained, read)
    if past is not None:
        moments = pool(dict(past.moments), moments)
    missingness = read_missingness(read.X, read.weight, read.table)
    return Fitted(
        **vars(trained),
        optimizer=_arrays(fit.adam.state) if keep else {},
        beta=beta,
        n_epochs=len(fit.outcome.terms) + (0 if past is None else past.n_epochs),
        moments=moments,
        report=latent_report(moments, model.architecture.posterior.has_density),
        seed=seed,
        dtype=read.X.dtype.name,
        missingness=missingness.pooled(None if past is None else past.missingness),
        table=read.table,
    )


def _arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.cpu().numpy().copy() for name, tensor in tensors.items()}


def _moments(trained: Trained, read: Read) -> dict[str, np.ndarray]:
    """Moments of the latents over those rows that the report on them reads."""
    index = report_rows(*read.X.shape)
    weight = None if read.weight is None else read.weight[index]
    rows = Rows(read.X[index], weight, trained.view, torch.float64, torch.device("cpu"))
    double = trained.model(torch.float64)
    return latent_moments(double, rows.part(slice(None)), trained.view.report_scale)


def publish(
    estimator: Any,
    fitted: Fitted,
    fit: Fit,
    read: Read,
    is_first: bool = True,
    origin: str = "the start",
) -> None:
    """Set the public attributes of an estimator; unless ``is_first``, a stream's go on."""
    outcome, report, weight = fit.outcome, fitted.report, read.weight
    estimator.device_ = str(fit.model.flat.values.device)
    estimator.likelihood_ = fitted.architecture.likelihood.chosen
    estimator.n_components_ = estimator._n_features_out = fitted.architecture.n_components
    count = read.X.shape[0] if weight is None else round(max(len(weight), weight.sum()))
    estimator.n_samples_ = count + (0 if is_first else estimator.n_samples_)
    if read.table is not None:
        estimator.design_names_ = read.table.number_names
    elif hasattr(estimator, "design_names_"):
        del estimator.design_names_
    estimator._publish_linear(read.X.dtype)
    estimator.n_active_components_ = int(report.active.sum())
    past: dict[str, list[float]] = {name: [] for name in TERMS}
    past = past if is_first else estimator.history_
    kept = slice(None) if is_first else slice(-_KEPT_PASSES, None)
    estimator.history_ = {
        name: (past[name] + [terms[k] for terms in outcome.terms])[kept]
        for k, name in enumerate(TERMS)
    }
    estimator.loss_curve_ = estimator.history_["loss"]
    estimator.n_iter_ = fitted.n_epochs
    n_before = 0 if is_first else estimator.n_skipped_steps_
    estimator.n_skipped_steps_ = outcome.n_skipped + n_before
    estimator.best_epoch_ = outcome.best_epoch if is_first else fitted.n_epochs
    estimator.validation_scores_ = outcome.scores or None
    estimator.best_validation_score_ = (
        outcome.scores[outcome.best_epoch] if outcome.scores else None
    )
    best = estimator.best_validation_score_
    known = fit.reference is not None and best is not None
    estimator._lead = origin, best - fit.reference if known else None


def last_pass(estimator: Any, n_passes: int) -> Epoch:
    """The last ``partial_fit``, one of so many, as those who watch see an epoch."""
    return Epoch(
        number=estimator.n_iter_,
        n_epochs=n_passes,
        terms=[estimator.history_[name][-1] for name in TERMS],
        score=None,
        first=None,
        best_epoch=estimator.n_iter_,
        learning_rate=estimator.learning_rate_init,
    )


def as_of(estimator: Any, epoch: Epoch, read: Read) -> dict[str, Any]:
    """Fitted attributes that an estimator would have with the parameters that an epoch left.

    They share nothing with the training that goes on.
    """
    trainer = epoch.trainer
    scores = [] if epoch.score is None or epoch.first is None else [epoch.first, epoch.score]
    outcome = Outcome(
        terms=[list(epoch.terms)],
        scores=scores,
        best_epoch=1,
        n_skipped=int(trainer.adam.n_skipped.item()),
        interrupted=False,
        still_rising=False,
    )
    fit = Fit(model=trainer.model, view=trainer.rows.view, outcome=outcome, adam=trainer.adam)
    copied = copy.copy(estimator)
    before = vars(copied).copy()
    beta = copy.deepcopy(trainer.plan.beta)
    copied._fitted = read_fit(fit, read, beta, trainer.seed, keep=False)
    publish(copied, copied._fitted, fit, read)
    copied._fit_density(read)
    copied.n_iter_ = copied.best_epoch_ = epoch.number
    return {name: value for name, value in vars(copied).items() if value is not before.get(name)}
