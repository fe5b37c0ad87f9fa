"""The multi-label classifier in training: steps on rows with their labels, and folds of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.arrays import as_tensor
from skvae.multilabel._labels import Labels
from skvae.multilabel._model import Model, indicators
from skvae.multilabel._plan import Plan
from skvae.multilabel._terms import correlation_term, pair_term
from skvae.multilabel._threshold import f1_scores, tune, tune_threshold
from skvae.tables import Rows
from skvae.training import Adam

# The paper's scores, in the authors' code: five times a probability.
_SCORE_RANGE = 5.0

Drop = Callable[[Tensor], Tensor]


class LabelRows:
    """The labels beside training's rows, handed out by the same index.

    Parameters
    ----------
    labels : Labels
        Labels of the rows.
    model : Model
        Whose type and device they come in.
    """

    def __init__(self, labels: Labels, model: Model) -> None:
        self.labels, self.like = labels, model.flat.values
        self.resident: Tensor | None = None
        if isinstance(labels.values, np.ndarray):
            self.resident = as_tensor(labels.values).to(self.like.device)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Give which labels are present and which absent, (rows, n_labels)."""
        if self.resident is None:
            values = as_tensor(self.labels.dense(index.cpu().numpy())).to(self.like.device)
        else:
            values = self.resident[index.to(self.like.device)]
        return indicators(values, self.like)


class Trainer:
    """A model with its rows, which it goes through an epoch at a time.

    Parameters
    ----------
    model : Model
        What is trained.
    rows : Rows
        Training rows.
    labels : Labels
        Their labels.
    plan : Plan
        Weights, dropout and batch size.
    seed : int
        Of the generators that order rows and drop units.
    """

    def __init__(self, model: Model, rows: Rows, labels: Labels, plan: Plan, seed: int) -> None:
        self.model, self.rows, self.plan = model, rows, plan
        self.labels = LabelRows(labels, model)
        self.generator = torch.Generator().manual_seed(seed)
        self.dropper = torch.Generator(model.flat.values.device).manual_seed(seed)
        self.batch_size = plan.n_step_rows(rows.n_samples)
        self.n_steps = -(-rows.n_samples // self.batch_size)
        self.adam = Adam(model.flat)
        self.sparse = model.sparse_rows(rows.source)

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far."""
        return self.adam.n_skipped

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return [self.model.flat.values, *self.adam.state.values(), self.n_skipped]

    @property
    def generators(self) -> list[torch.Generator]:
        """What orders rows and drops units."""
        return [self.generator, self.dropper]

    @property
    def memory(self) -> dict[str, Any]:
        """Nothing else changes."""
        return {}

    def drop(self, share: float) -> Drop | None:
        """Zero a share of what it is given, and scale the rest up (Srivastava et al. 2014)."""
        if share == 0.0:
            return None

        def dropped(x: Tensor) -> Tensor:
            kept = torch.empty_like(x).bernoulli_(1.0 - share, generator=self.dropper)
            return x * kept.div_(1.0 - share)

        return dropped

    def epoch(self, n_done: int, rate: Callable[[int], float]) -> Iterator[Tensor]:
        """Go through the training rows once; yield each step's loss, alone in a tensor."""
        for k, index in enumerate(self.rows.epoch(self.batch_size, self.generator)):
            self.model.flat.grads.zero_()
            loss = self.loss(index)
            loss.backward()
            self.adam.step(rate(k))
            yield loss.detach()[None]

    def _code(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fx of the rows at ``index``, some of their features left out, and their weights."""
        share, drop = self.plan.input_dropout, self.drop(self.plan.dropout)
        if self.sparse is not None:
            x = self.sparse[index.numpy()]
            x = x.dropped(share, self.dropper) if share else x
            weight = self.rows.weight
            return self.model.code_sparse(x, drop), None if weight is None else weight[index]
        batch, drop_input = self.rows.take(index), self.drop(share)
        inputs = batch.inputs if drop_input is None else drop_input(batch.inputs)
        return self.model.code(inputs, drop), batch.weight

    def loss(self, index: Tensor) -> Tensor:
        """Phi + Gamma + the direct term over the rows at ``index``, a 0-d tensor."""
        model, weights = self.model, self.plan.weights
        code, weight = self._code(index)
        present, absent = self.labels.take(index)
        label_code = model.label_encoder.forward(model.filled(present, absent))

        def mean(values: Tensor) -> Tensor:
            return (values if weight is None else values * weight).mean()

        total = code.new_zeros(())
        if weights.correlation:
            total = total + weights.correlation * correlation_term(code, label_code, weight)
        if weights.pair:
            score = _SCORE_RANGE * torch.sigmoid(model.decoder.forward(label_code))
            total = total + weights.pair * mean(pair_term(score, present, absent))
        if weights.direct:
            raw = model.decoder.forward(code)
            direct = mean(model.probability_loss(raw, present, absent))
            total = total + weights.direct * direct
        if weights.penalty:
            total = total + weights.penalty / self.rows.count * model.penalty().to(total)
        return total


def _codes(trainer: Trainer, rows: Rows) -> Iterator[Tensor]:
    """Yield Fx of rows, a block at a time."""
    if trainer.sparse is not None:
        yield from trainer.model.codes(rows.source)
        return
    for _, batch in rows.all():
        yield trainer.model.evaluate(batch.inputs)


def _scaled(rate: Callable[[Any], float], share: float, k: int) -> float:
    return rate(k * share)


class Folds:
    """Models trained side by side, each judged by rows that it has not seen.

    Parameters
    ----------
    trainers : list of Trainer
        One a fold.
    rows : list of Rows
        The rows that each has not seen.
    labels : Labels
        Labels of all these rows, fold after fold.
    weight : ndarray or None
        Their weights.
    """

    def __init__(
        self,
        trainers: list[Trainer],
        rows: list[Rows],
        labels: Labels,
        weight: np.ndarray | None,
    ) -> None:
        self.trainers, self.rows = trainers, rows
        self.values, self.exclusive = labels.dense(slice(None)), labels.exclusive
        self.weight = weight
        self.n_steps = sum(trainer.n_steps for trainer in trainers)

    @property
    def parameters(self) -> list[Tensor]:
        """Parameters of all models."""
        return [trainer.model.flat.values for trainer in self.trainers]

    @property
    def state(self) -> list[Tensor]:
        """All tensors that a step changes."""
        return [tensor for trainer in self.trainers for tensor in trainer.state]

    @property
    def generators(self) -> list[torch.Generator]:
        """What orders rows and drops units."""
        return [each for trainer in self.trainers for each in trainer.generators]

    @property
    def memory(self) -> dict[str, Any]:
        """Nothing else changes."""
        return {}

    @property
    def n_skipped(self) -> Tensor:
        """Number of steps skipped so far."""
        return torch.stack([trainer.n_skipped for trainer in self.trainers]).sum()

    def epoch(self, n_done: int, rate: Callable[[int], float]) -> Iterator[Tensor]:
        """Take every fold through its training rows; yield each step's loss."""
        for trainer in self.trainers:
            # The rate of a step is that of its place in the fold's own epoch.
            share = self.n_steps / trainer.n_steps
            yield from trainer.epoch(n_done, functools.partial(_scaled, rate, share))

    @torch.no_grad()
    def scores(self) -> np.ndarray:
        """Raw scores of the held-out rows, (rows, n_labels)."""
        raw = [
            trainer.model.decoder.evaluate(code).cpu()
            for trainer, rows in zip(self.trainers, self.rows, strict=True)
            for code in _codes(trainer, rows)
        ]
        return torch.cat(raw).numpy()

    def evaluate(self) -> float:
        """Micro- plus macro-averaged F1, at the best threshold or of the likeliest class."""
        score = self.scores()
        if not np.isfinite(score).all():
            return -math.inf
        if not self.exclusive:
            return tune_threshold(score, self.values, self.weight)[1]
        weight = np.ones((len(score), 1)) if self.weight is None else self.weight[:, None]
        predicted = weight * (score.argmax(1)[:, None] == np.arange(score.shape[1]))
        positive, hit = weight * self.values, predicted * self.values
        micro, macro = f1_scores(positive.sum(0), predicted.sum(0), hit.sum(0))
        return float(micro + macro)

    def threshold(self, kind: str) -> Any:
        """Tune one threshold on the raw scores ("shared"), or one for each label."""
        return tune(kind, self.scores(), self.values, self.weight)
