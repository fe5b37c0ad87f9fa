"""How the multi-label classifier is fitted: read rows, plan, fit, publish."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.special import expit
from sklearn.utils import check_consistent_length, check_random_state

from skvae._core.checks import check_sizes, shown
from skvae._sklearn.estimator import check_weight
from skvae._sklearn.rows import check_rows
from skvae.fitting import explain_split
from skvae.multilabel._fit import Fit, fit_model
from skvae.multilabel._fitted import FittedClassifier, Stream
from skvae.multilabel._labels import (
    Labels,
    Table,
    check_target,
    names_of_labels,
    read_labels,
    read_part,
)
from skvae.multilabel._model import Architecture
from skvae.multilabel._plan import (
    FOLDS,
    Plan,
    Weights,
    resolve_epochs,
    resolve_patience,
    resolve_step_rows,
)
from skvae.multilabel._predict import Predictor
from skvae.multilabel._stream import go_on
from skvae.training import Budget, Outcome
from skvae.watching import Watch

# Losses that are kept of a stream.
_REMEMBERED = 1000

# Most latents that n_components=None takes: the covariance of a code is estimated from a batch.
_MOST_COMPONENTS = 128


class BaseMultilabel(Predictor):
    """Everything between the constructor's parameters and a fitted model."""

    n_components: int | None
    hidden_layer_sizes: Any
    label_hidden_layer_sizes: Any
    activation: str
    correlation_weight: float
    pair_weight: float
    direct_weight: float
    dropout: float
    input_dropout: float
    threshold: str | float
    batch_size: int | str
    learning_rate_init: float
    alpha: float
    max_iter: int | str
    init: str
    tol: float
    early_stopping: bool
    n_folds: int | str
    validation_fraction: float
    n_iter_no_change: int | str
    device: str | torch.device
    random_state: Any
    verbose: int
    loss_curve_: list[float]

    # ------------------------------------------------------------------ fit

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> None:
        # At most three parts: folds from two starts, and all rows. Callbacks are torn down by what
        # is set here.
        watch = Watch(self, ("loss",)).call(self, 3, X, y, sample_weight)
        with self._restored_on_failure(), watch:
            table = self._read(X, y, sample_weight, read_labels)
            rows = {"X": table.X, "y": table.labels.values, "sample_weight": table.weight}
            random_state = watch.remember(self, rows)
            fit = fit_model(
                table,
                self._resolve_architecture(table),
                self._plan(watch, table.n_samples),
                random_state,
            )
            self._publish(fit, table.labels, names_of_labels(y))
        watch.close(self._what_was_kept(fit, watch))
        self._warn(fit.outcome)
        self._warn_unknown(fit.unknown, getattr(y, "columns", self.classes_))
        self._warn_unjudged(fit, table.n_samples)

    def _read(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        read: Callable[[Any], Labels],
        is_first: bool = True,
    ) -> Table:
        """Read rows and label sets, of those rows that have a weight."""
        n_least = 2 if is_first else 1
        y = check_target(y, type(self).__name__)
        X = check_rows(self, X, reset=is_first, ensure_min_samples=n_least)
        check_consistent_length(X, y)
        if sample_weight is None:
            return Table(X, read(y), None)
        weight, positive = check_weight(sample_weight, X, n_least)
        return Table(X[positive], read(y[positive]), weight)

    def _partial_fit(self, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
        watch = Watch(self, ("loss",))
        with self._restored_on_failure(), watch:
            past: FittedClassifier | None = getattr(self, "_fitted", None)
            known = None if past is None else (self.classes_, not self.multilabel_)
            read = partial(read_part, classes=classes, past=known)
            table = self._read(X, y, sample_weight, read, is_first=past is None)
            architecture = self._resolve_architecture(table) if past is None else past.architecture
            plan = self._plan(watch, table.n_samples)
            random_state = check_random_state(self.random_state)
            fit, stream = go_on(past, table, architecture, plan, random_state)
            losses = [] if past is None else self.loss_curve_
            names = getattr(
                self,
                "label_names_in_",
                names_of_labels(y, None if table.labels.exclusive else classes),
            )
            self._publish(fit, table.labels, names, stream)
            self.loss_curve_ = [*losses, *self.loss_curve_][-_REMEMBERED:]
            self.n_iter_ = stream.n_calls
        watch.close(f"pass {self.n_iter_}, loss {self.loss_curve_[-1]:.4f}")
        self._warn(fit.outcome)

    def _resolve_architecture(self, table: Table) -> Architecture:
        n_labels = table.labels.values.shape[1]
        k = self.n_components
        if k is None:
            k = min(max(2, round(0.8 * n_labels)), _MOST_COMPONENTS)
        return Architecture(
            n_features=table.X.shape[1],
            n_labels=n_labels,
            n_components=int(k),
            hidden_layer_sizes=check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            label_hidden_layer_sizes=check_sizes(
                self.label_hidden_layer_sizes, "label_hidden_layer_sizes"
            ),
            activation=self.activation,
            exclusive=table.labels.exclusive,
            is_linear=self.init != "random",
        )

    def _plan(self, watch: Watch, n_samples: int) -> Plan:
        if self.direct_weight == 0 and (self.correlation_weight == 0 or self.pair_weight == 0):
            raise ValueError(
                f"direct_weight=0 leaves the paper's objective, which needs both of its terms. Got "
                f"correlation_weight={self.correlation_weight!r} and "
                f"pair_weight={self.pair_weight!r}. Set both above 0, or direct_weight."
            )
        n_step_rows = resolve_step_rows(self.batch_size, n_samples)
        max_iter = resolve_epochs(self.max_iter, n_samples, n_step_rows)
        return Plan(
            budget=Budget(
                max_iter=max_iter,
                learning_rate_init=self.learning_rate_init,
                tol=self.tol,
                n_iter_no_change=resolve_patience(self.n_iter_no_change, max_iter),
            ),
            weights=Weights(
                correlation=self.correlation_weight,
                pair=self.pair_weight,
                direct=self.direct_weight,
                penalty=self.alpha,
            ),
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            batch_size=self.batch_size,
            device=self.device,
            init=self.init,
            early_stopping=self.early_stopping,
            n_folds=self.n_folds,
            threshold=self.threshold,
            validation_fraction=self.validation_fraction,
            watcher=watch,
        )

    def _publish(
        self, fit: Fit, labels: Labels, names: np.ndarray | None, stream: Stream | None = None
    ) -> None:
        """Set every fitted attribute: arrays and builtins."""
        values, outcome = fit.model.flat.values, fit.outcome
        self._fitted = FittedClassifier(
            architecture=fit.model.architecture,
            units=fit.model.units,
            parameters=values.detach().cpu().numpy().copy(),
            threshold=fit.threshold,
            sparse_labels=sparse.issparse(labels.values),
            stream=stream,
        )
        self.classes_ = labels.classes
        vars(self).pop("label_names_in_", None)
        if names is not None:
            self.label_names_in_ = names
        self.multilabel_ = not labels.exclusive
        self.n_components_ = self._n_features_out = fit.model.architecture.n_components
        cut = expit(fit.threshold)
        self.threshold_ = cut if isinstance(fit.threshold, np.ndarray) else float(cut)
        self.init_ = "linear" if fit.model.architecture.is_linear else "random"
        self.best_epoch_ = outcome.best_epoch
        self.device_ = str(values.device)
        self.loss_curve_ = [loss for (loss,) in outcome.terms]
        self.n_iter_ = len(self.loss_curve_)
        self.n_skipped_steps_ = outcome.n_skipped
        self.validation_scores_ = outcome.scores or None
        self.best_validation_score_ = max(outcome.scores) if outcome.scores else None

    def _what_was_kept(self, fit: Fit, watch: Watch) -> str:
        how = "a callback ended it" if watch.stopped else "done"
        lead = ""
        if self.best_validation_score_ is not None:
            lead = f", {self._facts()[0]}"
        return f"{how} after {len(fit.outcome.terms)} epochs{lead}"

    def _facts(self) -> list[str]:
        if not hasattr(self, "n_iter_"):
            return []
        facts = [f"{self.n_components_} latents", f"trained for {self.n_iter_} epochs"]
        if self.best_validation_score_ is not None:
            score = f"{self.best_validation_score_ / 2:.3f}"
            facts.insert(0, f"F1 {score} on held-out rows, the mean of micro and macro")
        return facts

    def _warn(self, outcome: Outcome) -> None:
        if outcome.interrupted:
            self._end_interrupted(outcome.best_epoch)
        elif outcome.still_rising:
            self._warn_of(
                f"the held-out F1 still rose by more than tol={self.tol:g} when "
                f"max_iter={self.max_iter} ended. Raise max_iter."
            )
        if outcome.n_skipped:
            self._warn_of(
                f"{outcome.n_skipped} steps had a gradient that was not finite and were skipped. "
                f"Scale X, or lower learning_rate_init={self.learning_rate_init:g}."
            )

    def _warn_unknown(self, unknown: np.ndarray, names: Any) -> None:
        if len(unknown):
            which = ", ".join(str(names[j]) for j in unknown.tolist())
            self._warn_of(
                f"y has no known label (0 or 1) in columns {which} of the rows that were trained "
                f"on: these labels are never predicted. Leave them out, or give some rows of them."
            )

    def _warn_unjudged(self, fit: Fit, n_samples: int) -> None:
        """Say that no rows could be held out, although some were to be."""
        if fit.judged:
            return
        lost = []
        if self.early_stopping:
            lost.append(f"epochs cannot be compared, and the last of {self.n_iter_} is kept")
        if self.multilabel_ and isinstance(self.threshold, str):
            lost.append("the threshold is not tuned, but 0.5")
        done = ", and ".join(lost)
        n_folds = FOLDS if isinstance(self.n_folds, str) else self.n_folds
        if n_folds > 1 and n_samples < 2 * n_folds:
            message = (
                f"n_folds={shown(self.n_folds)} takes at least 2 rows for each of {n_folds} folds. "
                f"Got {n_samples}. So {done}. Give more rows"
            )
        else:
            message = explain_split(n_samples, self.validation_fraction, done)
        self._warn_of(f"{message}, or set early_stopping=False and a number as threshold.")
