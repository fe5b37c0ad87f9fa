"""The common estimator: validate, fit, publish. scikit-learn's side of a fit."""

from __future__ import annotations

import functools
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from skvae import training
from skvae._core.checks import check_sizes, shown
from skvae._core.process import isolated
from skvae._sklearn.compat import HasMethods, Interval, RealNotInt, StrOptions, fit_context
from skvae._sklearn.estimator import Estimator, check_weight, print_epoch
from skvae._sklearn.rows import check_rows
from skvae.estimators._components import COMPONENTS, CORRUPTIONS, allowed, resolve
from skvae.fitting import _fit as _fitting
from skvae.fitting import _trainer
from skvae.fitting._fit import Fit, explain_split
from skvae.fitting._steps import TERMS
from skvae.fitting._trainer import Plan
from skvae.inference._density import fit_density
from skvae.inference._fitted import TORCH_DTYPES, FittedModel, check_domain
from skvae.inference._report import (
    collapse_message,
    latent_moments,
    latent_report,
    pool,
    report_rows,
)
from skvae.model._model import Architecture, Model
from skvae.nn import ACTIVATIONS
from skvae.schedules import Constant, Schedule
from skvae.starts._principal import Units
from skvae.training import Outcome, limit_threads, resolve_device

# Passes of a stream that history_ keeps, so that its state does not grow without bound.
_KEPT_PASSES = 1000


class BaseAutoencoder(FittedModel, Estimator):
    """Everything between the constructor's parameters and a fitted model."""

    _state_version = 4

    #: Components, and beta, that are no parameter of this estimator.
    _fixed: dict[str, Any] = {}

    _parameter_constraints: dict = {
        "n_components": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            StrOptions({"mle"}),
            None,
        ],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "encoder": [callable, None],
        "decoder": [callable, None],
        "likelihood": allowed(*COMPONENTS["likelihood"]),
        "regularizer": [*allowed(*COMPONENTS["regularizer"]), None],
        "init": [StrOptions({"auto", "pca", "random"})],
        "whiten": ["boolean"],
        "latent_density": [HasMethods(["fit", "sample"]), None],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "device": [str, torch.device],
        "precision": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two. A sparse X is made dense a batch at a time.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights; whole numbers count as repeated rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is outside its domain, or training diverges. What was fitted
            before is then still there.
        KeyboardInterrupt
            If training is interrupted before there is an epoch to keep, or within a search or a
            pipeline. Where the user calls ``fit``, the best epoch is kept with a warning.
        MemoryError
            If there is no memory for a step.
        """
        with self._restored_on_failure():
            resume = self.warm_start and hasattr(self, "_parameters")
            X, weight = self._validate(X, sample_weight, reset=not resume)
            architecture = self._resolve_architecture(X)
            random_state = check_random_state(self.random_state)
            with limit_threads(self._work(architecture, X)):
                fit = _fitting.fit_model(
                    X,
                    weight,
                    architecture,
                    min(X.shape) if self.n_components is None else self.n_components,
                    self._plan(X.shape[1]),
                    random_state,
                    self._resumed(architecture) if resume else None,
                )
                self._publish(fit, X, weight, first=True)
            self._seed = int(random_state.randint(2**31 - 1))
            self._fit_density(X, weight)
        self._warn(fit.outcome)
        self._warn_unjudged(fit, X.shape[0])
        self._warn_skipped(fit.outcome.n_skipped)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through X once, from where the model stands, at a constant learning rate.

        The first call takes the start and the units from its X, so it should be given many rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; at least two at the first call.
        y : Ignored
            Not used; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        with self._restored_on_failure():
            first = not hasattr(self, "_parameters")
            X, weight = self._validate(X, sample_weight, reset=first)
            architecture = self._resolve_architecture(X)
            if first:
                self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            with limit_threads(self._work(architecture, X)):
                fit = _fitting.one_pass(
                    X,
                    weight,
                    architecture,
                    min(X.shape) if self.n_components is None else self.n_components,
                    self._plan(
                        X.shape[1], None if first or not self.n_iter_ else self.history_["beta"][-1]
                    ),
                    self._seed if first else self._seed + self.n_iter_,
                    None if first else self._resumed(architecture),
                    None if first else self._optimizer,
                    0 if first else self.n_iter_,
                )
                self._publish(fit, X, weight, first=first)
            self._fit_density(X, weight)
        self._warn_skipped(fit.outcome.n_skipped)
        return self

    def _last_beta(self) -> float | None:
        """Beta of the last epoch, if there was one."""
        return self.history_["beta"][-1] if self.history_["beta"] else None

    def _fit_density(self, X: Any, weight: np.ndarray | None) -> None:
        self.__dict__.pop("latent_density_", None)
        if self.latent_density is not None:
            moments = self._moments_of(X)
            self.latent_density_ = fit_density(self.latent_density, *moments, weight, self._seed)

    def _validate(self, X: Any, sample_weight: Any, reset: bool) -> tuple[Any, np.ndarray | None]:
        X = check_rows(self, X, reset=reset, ensure_min_samples=2 if reset else 1)
        if sample_weight is None:
            return X, None
        weight, positive = check_weight(sample_weight, X, 2 if reset else 1)
        return (X, weight) if positive.all() else (X[positive], weight)

    def _resolve_architecture(self, X: Any) -> Architecture:
        """Read the parameters; the number of latents waits for the spectrum."""
        components = {
            name: resolve(self._choice(name), aliases) for name, (aliases, _) in COMPONENTS.items()
        }
        check_domain(components["likelihood"], X)
        architecture = Architecture(
            n_features=X.shape[1],
            n_components=0,
            hidden_layer_sizes=check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            activation=self.activation,
            encoder=self.encoder,
            decoder=self.decoder,
            **components,
            linear_path=self.init not in ("random", "rbm"),
        )
        architecture.check()
        beta = self._choice("beta")
        if not (architecture.posterior.has_density or beta == 0):
            point = shown(self._choice("posterior"))
            raise ValueError(
                f"The posterior {point} is a point, whose KL to the prior is "
                f"infinite. Got beta={shown(beta)}. Set beta=0, and a regularizer such as "
                f"'maximum_mean_discrepancy' if the latents shall follow the prior."
            )
        return architecture

    def _choice(self, name: str) -> Any:
        """Value of a parameter, or what this estimator has in its place."""
        return self._fixed[name] if name in self._fixed else getattr(self, name)

    def _work(self, architecture: Architecture, X: Any) -> float:
        """Multiply-adds of a step; where the number of latents is open, of as many as features."""
        k = int(self.n_components) if isinstance(self.n_components, Integral) else X.shape[1]
        architecture = architecture._replace(n_components=k)
        return _trainer.plan_work(self._plan(X.shape[1]), architecture, X.shape[0])

    def _plan(self, n_features: int, resumed_beta: float | None = None) -> Plan:
        choice = self._choice("beta")
        beta = clone(choice) if isinstance(choice, Schedule) else Constant(float(choice))
        beta.check()
        corruption = resolve(getattr(self, "corruption", None), CORRUPTIONS)
        if corruption is not None:
            corruption.check()
        beta.begin(resumed_beta)
        # Under an adaptive schedule epochs differ in what they maximise.
        compared = self.early_stopping and not beta.is_adaptive
        return Plan(
            schedule=training.Schedule(
                max_iter=self.max_iter,
                learning_rate_init=self.learning_rate_init,
                tol=self.tol * n_features,
                n_iter_no_change=self.n_iter_no_change,
                n_passed_over=beta.n_settled,
            ),
            batch_size=self.batch_size,
            penalty=self.alpha,
            beta=beta,
            device=self.device,
            bfloat16=self.precision == "bfloat16",
            init=self.init,
            validation_fraction=self.validation_fraction if compared else None,
            report=functools.partial(print_epoch, self.verbose),
            corruption=corruption,
        )

    def _resumed(self, architecture: Architecture) -> tuple[Model, Units]:
        """Give the fitted model to go on with, if the parameters still describe it."""
        fitted = self._architecture
        for name, value in architecture._asdict().items():
            if name == "linear_path":
                continue  # of how it was started, which is done
            if name == "n_components":
                value = self.n_components
                same = not isinstance(value, Integral) or value == fitted[name]
            elif name in COMPONENTS:
                same = repr(value) == repr(fitted[name])
            else:
                same = value == fitted[name]
            if not same:
                raise ValueError(
                    f"The fitted networks cannot go on with another {name!r}: they have "
                    f"{shown(fitted[name])}. Got {shown(value)}. Set it back, or call fit with "
                    f"warm_start=False."
                )
        work = self._work(Architecture(**fitted), np.empty((256, self.n_features_in_)))
        device = resolve_device(self.device, work)
        generator = torch.Generator()
        model = Model(
            Architecture(**fitted),
            TORCH_DTYPES[self._parameters.dtype.name],
            device,
            generator,
            layout=self._saved_layout,
        )
        model.flat.load(self._parameters)
        return self._with_constants(model), Units(**self._units)

    # -------------------------------------------------------------- publish

    def _publish(self, fit: Fit, X: Any, weight: np.ndarray | None, first: bool) -> None:
        """Set every fitted attribute: arrays, builtins and this package's own objects.

        What was published of a stream goes on unless this is the ``first``.
        """
        model, outcome = fit.model, fit.outcome
        self._parameters = model.flat.values.detach().cpu().numpy().copy()
        self._buffers = {name: t.cpu().numpy().copy() for name, t in model.buffers.items()}
        self._layout = model.layout
        self._optimizer = {name: t.cpu().numpy().copy() for name, t in fit.adam.state.items()}
        self._architecture = fit.architecture._asdict()
        self._units = fit.units._asdict()
        self._fit_dtype = X.dtype.name
        self.device_ = str(model.flat.values.device)
        self.likelihood_ = fit.architecture.likelihood
        self.n_components_ = self._n_features_out = fit.architecture.n_components
        count = X.shape[0] if weight is None else round(max(len(weight), weight.sum()))
        self.n_samples_: int = count + (0 if first else self.n_samples_)

        double = self._model(torch.float64)
        index = report_rows(*X.shape)
        few = _fitting.make_rows(
            double, X[index], None if weight is None else weight[index], fit.units
        )
        moments = latent_moments(double, few.part(slice(None)), fit.units.scale)
        self._moments: dict[str, np.ndarray] = moments if first else pool(self._moments, moments)
        report = latent_report(self._moments, fit.architecture.posterior.has_density)
        self._order, self._effect, self._unshrink = report.order, report.effect, report.unshrink
        self._active = report.active
        self._publish_linear(report, fit.units.mean, fit.units.total_variance, X.dtype)
        self.n_active_components_ = int(report.active.sum())

        past: dict[str, list[float]] = {name: [] for name in TERMS} if first else self.history_
        kept = slice(None) if first else slice(-_KEPT_PASSES, None)
        self.history_: dict[str, list[float]] = {
            name: (past[name] + [terms[k] for terms in outcome.terms])[kept]
            for k, name in enumerate(TERMS)
        }
        self.loss_curve_ = self.history_["loss"]
        # The seed of a stream's pass, and its place in the schedule of beta, count all passes.
        self.n_iter_: int = len(outcome.terms) + (0 if first else self.n_iter_)
        self.n_skipped_steps_: int = outcome.n_skipped + (0 if first else self.n_skipped_steps_)
        self.validation_scores_ = outcome.scores or None
        self.best_validation_score_ = max(outcome.scores) if outcome.scores else None

    def _warn_skipped(self, n_skipped: int) -> None:
        if n_skipped:
            self._warn_of(
                f"{n_skipped} steps had a gradient that was not finite and were skipped. "
                f"Scale X, or lower learning_rate_init={self.learning_rate_init:g}.",
            )

    def _warn(self, outcome: Outcome) -> None:
        if outcome.interrupted:
            self._end_interrupted(outcome.best_epoch)
        elif outcome.still_rising:
            self._warn_of(
                f"the held-out value still rose by more than tol={self.tol:g} a feature when "
                f"max_iter={self.max_iter} ended. Raise max_iter."
            )
        if self.max_iter > 0 and not self._active.all():
            weights = {"beta": "the KL term", "regularizer": "the regularizer"}
            chosen = {n: getattr(self, n) for n in weights if n not in self._fixed}
            remedies = [
                f"less weight to {weights[name]} ({name}={shown(value)})"
                for name, value in chosen.items()
                if value is not None
            ]
            self._warn_of(collapse_message(self.n_active_components_, self.n_components_, remedies))

    def _warn_unjudged(self, fit: Fit, n_samples: int) -> None:
        """Say that no rows could be held out, although ``early_stopping`` asks for them."""
        n_epochs = len(fit.outcome.terms)
        if n_epochs:
            done = f"epochs cannot be compared, and the last of {n_epochs} is kept"
        else:
            done = "a gain cannot be told from chance: no epoch is run, and the start is kept"
        if not fit.judged:
            message = explain_split(n_samples, self.validation_fraction, done)
            self._warn_of(f"{message}, or set early_stopping=False.")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
