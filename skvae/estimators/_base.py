"""The common estimator: validate, fit, publish. scikit-learn's side of a fit."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import torch
from sklearn.base import clone
from sklearn.utils import check_random_state

from skvae._core.checks import check_sizes, shown
from skvae._core.process import isolated
from skvae._sklearn.compat import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    fit_context,
    with_callbacks,
)
from skvae._sklearn.estimator import Estimator
from skvae.corruptions import Corruption
from skvae.estimators._components import (
    COMPONENTS,
    CORRUPTIONS,
    LIKELIHOODS,
    STARTS,
    allowed,
    own_factory,
    resolve,
)
from skvae.estimators._generator import Generator
from skvae.estimators._parameters import LikelihoodOfColumns
from skvae.estimators._publish import as_of, publish, read_fit
from skvae.estimators._read import Read, read_rows
from skvae.estimators._words import cannot_go_on, facts, what_was_kept
from skvae.fitting import (
    TERMS,
    Fit,
    Plan,
    Resumed,
    explain_split,
    fit_model,
    one_pass,
    plan_work,
)
from skvae.inference import Fitted, check_domain, collapse_message, fit_density
from skvae.likelihoods import Columns, Likelihood
from skvae.model import Architecture, Parts
from skvae.nn import ACTIVATIONS, ModuleFactory
from skvae.schedules import Constant, Schedule
from skvae.starts import Start
from skvae.training import Budget, limit_threads, resolve_device
from skvae.watching import Watch


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The objects that an estimator's parameters choose, made anew for a fit."""

    parts: Parts
    beta: Schedule
    start: Start
    corruption: Corruption | None


class BaseAutoencoder(LikelihoodOfColumns, Generator, Estimator, ABC):
    """Everything between the constructor's parameters and a fitted model."""

    _state_version = 7

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
        "likelihood": [
            *allowed(LIKELIHOODS | {"auto": Columns}, Likelihood),
            Columns,
            list,
        ],
        "regularizer": [*allowed(*COMPONENTS["regularizer"]), None],
        "init": [StrOptions(set(STARTS) - {"rbm"}), Start],
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

    n_components: Any
    hidden_layer_sizes: Any
    activation: str
    encoder: ModuleFactory | None
    decoder: ModuleFactory | None
    init: str | Start
    latent_density: Any
    batch_size: int | str
    learning_rate_init: float
    alpha: float
    max_iter: int
    tol: float
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    warm_start: bool
    device: str | torch.device
    precision: str
    random_state: Any
    verbose: int
    # What the held-out value was compared with, and by how much the kept epoch is above it.
    _lead: tuple[str, float | None]
    best_epoch_: int
    n_iter_: int
    loss_curve_: list[float]

    @abstractmethod
    def _chosen(self) -> dict[str, Any]:
        """Give the components, beta and the corruption by name: parameters, or what is fixed."""

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the model to X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows; at least two. A sparse X is made dense a batch at a time.
        y : Ignored
            Not used; present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights; whole numbers count as repeated rows.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or X is outside its domain, or training diverges. The former state
            is then kept.
        KeyboardInterrupt
            If training is interrupted before there is an epoch to keep, or within a search or a
            pipeline. Where the user calls ``fit``, the best epoch is kept with a warning.
        MemoryError
            If there is no memory for a step.
        """
        # The race, and the epochs. Callbacks are torn down by what is set here, before the block.
        watch = Watch(self, TERMS).call(self, self.max_iter + 1, X, y, sample_weight)
        with self._restored_on_failure(), watch:
            resume = self.warm_start and hasattr(self, "_fitted")
            read = read_rows(self, X, sample_weight, self._fitted if resume else None)
            choices = self._choices(read)
            plan, k = self._plan(choices, watch), self._wanted(read.X)
            if choices.start.is_principal and read.table is None and not resume:
                watch.origin = "PCA"
            watch.snapshot = lambda epoch: as_of(self, epoch, read)
            rows = {"X": read.X, "sample_weight": read.weight}
            if resume:
                rows["fitted model, which warm_start goes on with,"] = self._fitted.parameters
            random_state = watch.remember(self, rows)
            with limit_threads(self._work(choices, plan, read.X)):
                resumed = self._resumed(choices, plan, adapted=False) if resume else None
                fit = fit_model(read.X, read.weight, choices.parts, k, plan, random_state, resumed)
                seed = int(random_state.randint(2**31 - 1))
                self._fitted = read_fit(fit, read, plan.beta, seed, keep=self.warm_start)
                publish(self, self._fitted, fit, read, origin=watch.origin)
            self._fit_density(read)
        watch.close(what_was_kept(self, fit, watch))
        self._warn(fit, read.X.shape[0])
        return self

    @fit_context(prefer_skip_nested_validation=True)
    @isolated
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Go through X once, from where the model stands, at a constant learning rate.

        The first call takes the start and the units from its X, so it should be given many rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, Source} of shape (n_samples, n_features)
            Rows; at least two at the first call.
        y : Ignored
            Not used; present for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        watch = Watch(self, TERMS)
        with self._restored_on_failure(), watch:
            past = getattr(self, "_fitted", None)
            read = read_rows(self, X, sample_weight, past)
            choices = self._choices(read)
            plan, k = self._plan(choices, watch), self._wanted(read.X)
            if past is None:
                seed, number = int(check_random_state(self.random_state).randint(2**31 - 1)), 0
            else:
                seed, number = past.seed, past.n_epochs
            with limit_threads(self._work(choices, plan, read.X)):
                resumed = None if past is None else self._resumed(choices, plan, adapted=True)
                parts = choices.parts
                fit = one_pass(read.X, read.weight, parts, k, plan, seed + number, resumed)
                self._fitted = read_fit(fit, read, plan.beta, seed, keep=True, past=past)
                publish(self, self._fitted, fit, read, is_first=past is None)
            self._fit_density(read)
        watch.close(f"pass {self.n_iter_}, loss {self.loss_curve_[-1]:.4f}")
        self._warn_skipped(fit.outcome.n_skipped)
        return self

    def _fit_density(self, read: Read) -> None:
        if self.latent_density is not None:
            moments, seed = self._fitted.encode(read.X), self._fitted.seed
            self.latent_density_ = fit_density(self.latent_density, *moments, read.weight, seed)
        elif hasattr(self, "latent_density_"):
            del self.latent_density_

    # -------------------------------------------------------------- parameters

    def _wanted(self, X: Any) -> Any:
        """``n_components`` as PCA takes it."""
        return min(X.shape) if self.n_components is None else self.n_components

    def _choices(self, read: Read) -> Choices:
        """Read the parameters, and check them against each other and against X."""
        chosen = {**self._chosen(), "likelihood": read.likelihood}
        components: dict[str, Any] = {
            name: read.likelihood if name == "likelihood" else resolve(chosen[name], aliases)
            for name, (aliases, _) in COMPONENTS.items()
        }
        check_domain(read.likelihood, read.X, self._names_of(read.table))
        parts = Parts(
            hidden_layer_sizes=check_sizes(self.hidden_layer_sizes, "hidden_layer_sizes"),
            activation=self.activation,
            encoder=own_factory(self.encoder),
            decoder=own_factory(self.decoder),
            **components,
        )
        parts.check()
        value = chosen["beta"]
        if not (parts.posterior.has_density or value == 0):
            raise ValueError(
                f"The posterior {shown(chosen['posterior'])} is a point, whose KL to the prior is "
                f"infinite. Got beta={shown(value)}. Set beta=0, and a regularizer such as "
                f"'maximum_mean_discrepancy' if the latents shall follow the prior."
            )
        beta = clone(value) if isinstance(value, Schedule) else Constant(float(value))
        beta.check()
        beta.begin()
        corruption = resolve(chosen["corruption"], CORRUPTIONS)
        if corruption is not None:
            corruption.check()
        start = resolve(self.init, STARTS)
        return Choices(parts=parts, beta=beta, start=start, corruption=corruption)

    def _plan(self, choices: Choices, watch: Watch) -> Plan:
        # Under an adaptive schedule epochs differ in what they maximise.
        compared = self.early_stopping and not choices.beta.is_adaptive
        return Plan(
            budget=Budget(
                max_iter=self.max_iter,
                learning_rate_init=self.learning_rate_init,
                tol=self.tol * self.n_features_in_,
                n_iter_no_change=self.n_iter_no_change,
                n_cooldown=self.n_iter_no_change,
                n_passed_over=choices.beta.n_settled,
            ),
            batch_size=self.batch_size,
            penalty=self.alpha,
            beta=choices.beta,
            device=self.device,
            bfloat16=self.precision == "bfloat16",
            start=choices.start,
            validation_fraction=self.validation_fraction if compared else None,
            watcher=watch,
            corruption=choices.corruption,
        )

    def _work(self, choices: Choices, plan: Plan, X: Any) -> float:
        """Multiply-adds of a step, with as many latents as features if their number is open."""
        d = X.shape[1]
        k = int(self.n_components) if isinstance(self.n_components, Integral) else d
        widest = Architecture(**vars(choices.parts), n_inputs=d, n_targets=d, n_components=k)
        return plan_work(plan, widest, X.shape[0])

    def _resumed(self, choices: Choices, plan: Plan, adapted: bool) -> Resumed:
        """Give the fitted model to train further, if the parameters still describe it.

        If ``adapted``, an adaptive schedule goes on from where it stands.
        """
        fitted = self._fitted
        self._check_same(choices.parts, fitted)
        if adapted and repr(fitted.beta) == repr(plan.beta):
            for name, value in vars(copy.deepcopy(fitted.beta)).items():
                setattr(plan.beta, name, value)
        work = plan_work(plan, fitted.architecture, 256)
        return Resumed(
            model=fitted.trainable(resolve_device(self.device, work)),
            view=fitted.view,
            optimizer=dict(fitted.optimizer) if adapted else {},
            n_epochs=fitted.n_epochs,
        )

    def _check_same(self, parts: Parts, fitted: Fitted) -> None:
        """Raise ValueError if a parameter describes another model than the fitted one."""
        now, then = dict(vars(parts)), dict(vars(fitted.architecture))
        if isinstance(self.n_components, Integral):
            now["n_components"] = self.n_components
        for name, value in now.items():
            has_parameters = name in COMPONENTS or hasattr(value, "get_params")
            compared = repr if has_parameters else lambda part: part
            if compared(value) != compared(then[name]):
                raise ValueError(cannot_go_on(name, then[name], value))

    # -------------------------------------------------------------- words

    def _facts(self) -> list[str]:
        return facts(self) if self.__sklearn_is_fitted__() else []

    def _warn_skipped(self, n_skipped: int) -> None:
        if n_skipped:
            self._warn_of(
                f"{n_skipped} steps had a gradient that was not finite and were skipped. "
                f"Scale X, or lower learning_rate_init={self.learning_rate_init:g}.",
            )

    def _warn(self, fit: Fit, n_samples: int) -> None:
        outcome = fit.outcome
        if outcome.interrupted:
            self._end_interrupted(outcome.best_epoch)
        elif outcome.still_rising:
            self._warn_of(
                f"the held-out value still rose by more than tol={self.tol:g} nats per feature "
                f"when max_iter={self.max_iter} ended. Raise max_iter."
            )
        if self.max_iter > 0 and not self._fitted.report.active.all():
            weights = {"beta": "the KL term", "regularizer": "the regularizer"}
            params = self.get_params(deep=False)
            remedies = [
                f"less weight to {weights[name]} ({name}={shown(params[name])})"
                for name in weights
                if params.get(name) is not None
            ]
            self._warn_of(collapse_message(self.n_active_components_, self.n_components_, remedies))
        self._warn_unjudged(fit, n_samples)
        self._warn_skipped(outcome.n_skipped)

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
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
