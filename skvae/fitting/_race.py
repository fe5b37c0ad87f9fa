"""The race of starts: each is trained for a few epochs, and the best on held-out rows goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from skvae.fitting._trainer import Trainer
from skvae.model import Architecture, Model
from skvae.starts import Prepared, Start
from skvae.training import DivergenceError

# Share of max_iter that each start has.
_RACE_SHARE = 0.05


def race(
    trainer: Trainer,
    starts: Sequence[Start],
    prepared: Prepared,
    build: Callable[[Architecture, Prepared, torch.device, int], Model],
    seed: int,
) -> tuple[Trainer, bool]:
    """Train a model from each start, with a budget of its own, and give the best.

    ``trainer`` has held-out rows, and its model takes the first start; ``build`` gives models for
    the others, by the same seed. Returns the winner, with its model as the race has left it, and
    whether that is anything but the PCA start. KeyboardInterrupt is raised if the race is
    interrupted, because no start has won yet.
    """
    budget = trainer.plan.budget
    budget = replace(budget, max_iter=max(1, round(_RACE_SHARE * budget.max_iter)))
    best, score, moved = trainer, -math.inf, False
    watcher, reference = trainer.plan.watcher, None
    gaps = trainer.rows.view.gaps
    for k, start in enumerate(starts):
        if watcher.stopped and math.isfinite(score):
            break
        rival = trainer
        if k > 0:
            shape = replace(trainer.model.architecture, linear_path=start.linear_path)
            model = build(shape, prepared, trainer.rate.device, seed)
            rival = Trainer(model, trainer.rows, trainer.held_out, trainer.plan, seed)
        rival.begin(start, prepared, seed)
        rival.reference = reference
        try:
            with watcher.stage(f"start {k + 1} of {len(starts)}", budget.max_iter):
                outcome = rival.run(budget)
        except DivergenceError:
            if k < len(starts) - 1 or math.isfinite(score):
                continue  # a start that diverges has lost
            raise
        if outcome.interrupted:
            raise KeyboardInterrupt
        if k == 0:
            reference = outcome.scores[0]
        if max(outcome.scores) > score:
            best, score, gaps = rival, max(outcome.scores), rival.rows.view.gaps
            moved = not start.is_principal or outcome.best_epoch > 0
    if gaps is not None:
        best.fill(gaps)
    best.reference = reference
    return best, moved
