"""Fitting the multi-label classifier part by part: one pass through the rows of each call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skvae._core.arrays import as_tensor
from skvae.multilabel._fit import TRAINING_DTYPE, Builder, Fit, run
from skvae.multilabel._fitted import FittedClassifier, Stream
from skvae.multilabel._labels import Table
from skvae.multilabel._model import Architecture, Model, make_rows
from skvae.multilabel._plan import Plan
from skvae.multilabel._threshold import tune
from skvae.multilabel._trainer import Trainer
from skvae.training import limit_threads

# So many of the rows that were judged last choose the threshold.
_JUDGED_ROWS = 1000


def go_on(
    past: FittedClassifier | None,
    table: Table,
    architecture: Architecture,
    plan: Plan,
    random_state: np.random.RandomState,
) -> tuple[Fit, Stream]:
    """Go through the rows once at a constant learning rate.

    What there was before judges them first (prequential evaluation, Dawid 1984): the last 1000 rows
    that a model had not seen choose its threshold.

    Parameters
    ----------
    past : FittedClassifier or None
        What to go on from; None begins at the plan's start, with the units of these rows.
    table : Table
        Rows with their labels.
    architecture : Architecture
        Widths.
    plan : Plan
        How to train.
    random_state : RandomState
        Seeds the start, the order of rows and what is dropped, unless ``past`` does.

    Returns
    -------
    fit : Fit
        The model and its threshold.
    stream : Stream
        What the next call needs.

    Raises
    ------
    KeyboardInterrupt
        If training was interrupted.
    """
    stream = None if past is None else past.stream
    if stream is None:
        none = np.empty((0, architecture.n_labels))
        stream = Stream(
            seed=int(random_state.randint(2**31 - 1)),
            n_calls=0,
            optimizer={},
            scores=none,
            values=none.astype(np.int8),
        )
    threshold: Any = plan.fixed_threshold(table.labels)
    if past is not None:
        stream = _judge(past, stream, table)
        tuned = plan.tuned(table.labels)
        if tuned is not None:
            is_known = (stream.values == 1).any()
            threshold = (
                tune(tuned, stream.scores, stream.values, None) if is_known else past.threshold
            )
    builder = Builder(table, architecture, plan, stream.seed + stream.n_calls)
    with limit_threads(builder.work):
        trainer = builder.trainer(table) if past is None else _resume(past, stream, builder)
        budget = replace(plan.budget, max_iter=1, annealed=False)
        outcome = run(trainer, [trainer.model.flat.values], None, budget, plan)
    if outcome.interrupted:
        raise KeyboardInterrupt
    optimizer = {name: state.cpu().numpy().copy() for name, state in trainer.adam.state.items()}
    fit = Fit(model=trainer.model, outcome=outcome, threshold=threshold, unknown=np.arange(0))
    return fit, replace(stream, n_calls=stream.n_calls + 1, optimizer=optimizer)


def _judge(past: FittedClassifier, stream: Stream, table: Table) -> Stream:
    """Score rows that the model has not seen, and keep the last ones."""
    last = slice(max(table.n_samples - _JUDGED_ROWS, 0), None)
    scores = np.concatenate([stream.scores, past.scores(table.X[last])])
    values = np.concatenate([stream.values, table.labels.part(last).dense(slice(None))])
    return replace(stream, scores=scores[-_JUDGED_ROWS:], values=values[-_JUDGED_ROWS:])


def _resume(past: FittedClassifier, stream: Stream, builder: Builder) -> Trainer:
    """Build what trains the model further on the builder's rows."""
    table = builder.table
    model = Model(past.architecture, past.units, TRAINING_DTYPE, builder.device)
    model.flat.values.data.copy_(as_tensor(past.parameters))
    rows = make_rows(model, table.X, table.weight)
    trainer = Trainer(model, rows, table.labels, builder.plan, builder.seed)
    for name, value in stream.optimizer.items():
        trainer.adam.state[name].copy_(as_tensor(value))
    return trainer
