"""A model in training: steps, noise, beta, and the objective on held-out rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.fitting._compiled import CompiledSteps, build_compiled
from skvae.fitting._plan import Plan, step_work
from skvae.fitting._steps import PartedStep, build_step
from skvae.model import Model
from skvae.nn import OneRowError
from skvae.starts import Prepared, Start
from skvae.tables import Batch, Gaps, Rows
from skvae.training import (
    Adam,
    Budget,
    Epoch,
    Outcome,
    Progress,
    Replayed,
    Watcher,
    count_parts,
    is_small,
    limit_threads,
    train,
)

# Steps whose noise is drawn at once.
_NOISE_STEPS = 64

# Draws for the held-out value: at least two, an antithetic pair, and enough for this many terms.
_HELD_OUT_TERMS = 1024


class Trainer:
    """A model with its rows: goes through an epoch, and values held-out rows.

    Parameters
    ----------
    model : Model
        What is trained.
    rows, held_out : Rows or None
        Training rows, and those that epochs are compared on.
    plan : Plan
        Batch size, penalty and beta.
    seed : int
        Of the one generator that orders rows and draws noise.

    Attributes
    ----------
    reference : float or None
        Held-out value, in X's units, that gains are measured from; by default the model's own
        before its first step.
    """

    reference: float | None = None

    def __init__(
        self, model: Model, rows: Rows, held_out: Rows | None, plan: Plan, seed: int
    ) -> None:
        self.model, self.rows, self.held_out, self.plan = model, rows, held_out, plan
        self.seed = seed
        self.generator = torch.Generator().manual_seed(seed)
        self.batch_size = plan.n_step_rows(model.architecture, rows.n_samples)
        self.n_steps = -(-rows.n_samples // self.batch_size)
        work = step_work(model.architecture, self.batch_size)
        bfloat16 = plan.bfloat16 and rows.device.type != "cpu"
        penalty = plan.penalty / rows.count
        self.step = build_step(model, penalty, count_parts(work), self.generator, bfloat16)
        self.adam = Adam(model.flat)
        self.compiled: CompiledSteps | None = None
        if is_small(work):
            self.compiled = build_compiled(model, rows, self.adam, plan, penalty)
        self.n_draws = model.objective.n_draws
        # A log-density of X is that of its targets without their constant, less this.
        self.shift = self._shift(rows)
        # A user's module might read numbers back or draw from a generator, and so might a
        # regulariser or a corruption.
        free = model.regularizer is None and plan.corruption is None
        dense = all(network.is_written for network in model.networks)
        graph = dense and free and rows.device.type == "cuda" and rows.resident is not None
        self.replayed = Replayed(self.advance, self.state) if graph else None
        self.rate = model.flat.values.new_zeros((), dtype=torch.float32)
        self.beta = torch.zeros_like(self.rate)
        if held_out is not None:
            weight = held_out.weight
            self.held_out_weight = None if weight is None else weight.double().cpu().numpy()
            pairs = max(1, _HELD_OUT_TERMS // (2 * held_out.n_samples * self.n_draws))
            eps = self.noise(pairs * self.n_draws, held_out.n_samples)
            drawn = model.posterior.has_density  # a point is the same for every draw
            self.held_out_eps = torch.cat([eps, -eps]) if drawn else eps[:1]

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return [*self.model.state, *self.adam.state.values(), self.adam.n_skipped]

    @property
    def generators(self) -> list[torch.Generator]:
        """What orders rows and draws noise."""
        return [self.generator]

    @property
    def memory(self) -> dict[str, Any]:
        """Attributes of the schedule of beta: those that end in "_" change."""
        return vars(self.plan.beta)

    def begin(self, start: Start, prepared: Prepared, seed: int) -> None:
        """Start the model, and fill the gaps of all rows as its start does."""
        start.write(self.model, prepared, self.rows, seed)
        if self.rows.view.gaps is not None and self.held_out is not None:
            self.held_out.fill(self.rows.view.gaps)

    def fill(self, gaps: Gaps) -> None:
        """Fill the gaps of all rows as another trainer's start did."""
        for rows in (self.rows, self.held_out):
            if rows is not None:
                rows.fill(gaps)

    def noise(self, draws: int, rows: int) -> Tensor:
        """Draw standard normal noise of shape (draws, rows, n_components)."""
        shape = (draws, rows, self.model.n_components)
        noise = torch.randn(shape, generator=self.generator, dtype=torch.float32)
        return noise.to(self.rows.device, self.rows.dtype)

    def epoch(
        self, n_done: int, rate: Callable[[int], float]
    ) -> Iterator[Tensor | tuple[float, ...]]:
        """Go through the training rows once, after ``n_done`` epochs; yield each step's terms.

        ``rate`` gives the learning rate of each step.
        """
        self.model.train(True)
        yield from (self._steps if self.compiled is None else self._compiled_steps)(n_done, rate)
        self.model.train(False)

    def _compiled_steps(
        self, n_done: int, rate: Callable[[int], float]
    ) -> Iterator[tuple[float, ...]]:
        """Take the same steps in blocks."""
        assert self.compiled is not None
        beta = self.plan.beta.value
        batches = list(self.rows.epoch(self.batch_size, self.generator))
        for first in range(0, self.n_steps, _NOISE_STEPS):
            block = range(first, min(first + _NOISE_STEPS, self.n_steps))
            yield from self.compiled(
                batches[block.start : block.stop],
                self.noise(len(block), self.batch_size),
                [rate(k) for k in block],
                [beta(n_done + k / self.n_steps) for k in block],
            )

    def _steps(
        self, n_done: int, rate: Callable[[int], float]
    ) -> Iterator[Tensor | tuple[float, ...]]:
        """Take one step after the other."""
        schedule = self.plan.beta
        for k, index in enumerate(self.rows.epoch(self.batch_size, self.generator)):
            if k % _NOISE_STEPS == 0:  # one call for a block of steps
                draws = self.n_draws * min(_NOISE_STEPS, self.n_steps - k)
                noise = self.noise(draws, self.batch_size).split(self.n_draws)
            eps = noise[k % _NOISE_STEPS][:, : index.shape[0]]
            beta = schedule.value(n_done + k / self.n_steps)
            if self.replayed is None:
                terms = self.advance(index, eps, rate(k), beta)
            else:
                terms = self.replayed(index, eps, self.rate.fill_(rate(k)), self.beta.fill_(beta))
            if schedule.is_adaptive:
                _, log_p, kl, *_ = map(float, terms)
                if math.isfinite(log_p + kl):
                    schedule.observe(n_done + k / self.n_steps, log_p - self.shift, kl)
            yield terms

    def advance(
        self, index: Tensor, eps: Tensor, rate: Tensor | float, beta: Tensor | float
    ) -> Tensor | tuple[float, ...]:
        """Take one whole step: gather the rows at ``index``, differentiate, update."""
        try:
            terms = self.step(self.corrupted(self.rows.take(index)), eps, beta)
        except OneRowError as error:
            raise OneRowError(f"{error} {self._batches_of_one(len(index))}".rstrip()) from error
        self.adam.step(rate)
        return terms

    def _batches_of_one(self, n_rows: int) -> str:
        """Say why a batch has one row, which a batch_size of three or more never leaves."""
        if n_rows > 1:
            return ""
        if self.rows.n_samples == 1:
            return "X has one row with a weight above zero: pass at least two."
        return (
            f"Got batch_size={self.plan.batch_size!r} for {self.rows.n_samples} rows, which leaves "
            f"a batch with one of them: set batch_size to at least 3."
        )

    def corrupted(self, batch: Batch) -> Batch:
        """Corrupt the inputs, as the plan says; the target stays."""
        corruption, mean = self.plan.corruption, self.model.encoder.shift
        if corruption is None:
            return batch
        unit = as_tensor(self.rows.view.input_unit).to(batch.inputs)
        own, masks = batch.inputs.split([len(unit), self.rows.view.n_masks], 1)
        mean = torch.zeros_like(unit) if mean is None else mean[: len(unit)]
        corrupted = corruption.corrupt(own, mean, unit, self.generator)
        inputs = torch.cat([corrupted, masks], 1) if self.rows.view.n_masks else corrupted
        return replace(batch, inputs=inputs)

    @torch.no_grad()
    def held_out_bounds(self) -> np.ndarray:
        """Objective of each held-out row, with the same noise at every call."""
        assert self.held_out is not None
        # All draws at once if a step takes one, otherwise groups of as many as a step takes.
        n_draws = self.n_draws if self.n_draws > 1 else len(self.held_out_eps)
        bounds = np.empty(self.held_out.n_samples)
        for rows, batch in self.held_out.all():
            groups = self.held_out_eps[:, rows].split(n_draws)
            values = [self.model.bound(batch, eps, self.plan.beta.final) for eps in groups]
            bounds[rows] = torch.stack(values).mean(0).cpu().numpy()
        return bounds - self._held_out_regularization()

    def _held_out_regularization(self) -> float:
        """Mean penalty of held-out rows, in batches of the size of a step's."""
        if self.model.regularizer is None or self.held_out is None:
            return 0.0
        generator = torch.Generator().manual_seed(0)
        n_rows = self.held_out.n_samples
        n_parts = -(-n_rows // self.batch_size)
        edges = np.linspace(0, n_rows, n_parts + 1).astype(int).tolist()
        total = 0.0
        for rows in itertools.starmap(slice, itertools.pairwise(edges)):
            batch = self.held_out.part(rows)
            draws = self.model.draws(batch, self.held_out_eps[: self.n_draws, rows])
            total += float(self.model.regularization(draws, batch, generator))
        return total / n_parts

    def evaluate(self) -> float:
        """Held-out objective, the weighted mean over rows."""
        value = float(np.average(self.held_out_bounds(), weights=self.held_out_weight))
        return value if math.isfinite(value) else -math.inf

    def _shift(self, rows: Rows) -> float:
        """Mean over rows of what is subtracted from a log-density of targets for that of X."""
        shift = rows.view.log_jacobian()
        has_constant = self.model.likelihood.constant(rows.part(slice(0, 1)).target) is not None
        if not (has_constant or rows.has_gaps):
            return shift
        total = torch.zeros((), dtype=torch.float64)
        for _, batch in rows.all():
            constant = self.model.constant(batch)
            if batch.observed is not None:
                own = rows.view.log_jacobian(batch.observed.cpu().numpy())
                constant = constant + torch.as_tensor(shift - own).to(batch.inputs)
            constant = torch.as_tensor(constant).expand(len(batch.inputs))
            total += (constant if batch.weight is None else constant * batch.weight).sum().cpu()
        return shift - float(total) / rows.n_samples

    def run(self, budget: Budget) -> Outcome:
        """Train, and leave the best epoch's parameters in the model; report in X's units."""
        shift = 0.0 if self.held_out is None else self._shift(self.held_out)
        # Parts have threads of their own, so BLAS and torch keep to one.
        parted = isinstance(self.step, PartedStep)
        with limit_threads(0.0) if parted else nullcontext():
            outcome = train(
                self.epoch,
                None if self.held_out is None else self.evaluate,
                self.model.state,
                self.adam,
                budget,
                self.n_steps,
                _InUnits(self, shift),
                self,
            )
        scores = [score - shift for score in outcome.scores]
        return replace(outcome, terms=[*map(self.in_units, outcome.terms)], scores=scores)

    def in_units(self, terms: Sequence[float]) -> list[float]:
        """Terms of targets as those of X."""
        loss, log_p, *others = terms
        return [loss + self.shift, log_p - self.shift, *others]


class _InUnits(Watcher):
    """Tells the plan's watcher of epochs in X's units, and whose they are."""

    def __init__(self, trainer: Trainer, shift: float) -> None:
        self.trainer, self.shift, self.told = trainer, shift, trainer.plan.watcher

    def begin(self) -> None:
        self.told.begin()

    def resume(self, progress: Progress) -> None:
        self.told.resume(progress)

    def keep(self, progress: Progress) -> None:
        self.told.keep(progress)

    def end(self, epoch: Epoch) -> bool:
        score, first = epoch.score, self.trainer.reference
        if first is None and epoch.first is not None:
            first = epoch.first - self.shift
        return self.told.end(
            replace(
                epoch,
                terms=self.trainer.in_units(epoch.terms),
                score=None if score is None else score - self.shift,
                first=first,
                trainer=self.trainer,
            )
        )
