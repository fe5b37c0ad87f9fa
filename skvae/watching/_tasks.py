"""A fit as scikit-learn's callbacks see it: a tree of tasks."""

from __future__ import annotations

from typing import Any


class Tasks:
    """The tasks from the fit down to the one that is being done.

    To be made before anything that a failed fit puts back: callbacks are torn down by what it
    leaves on the estimator.

    Parameters
    ----------
    estimator : estimator
        With callbacks.
    n_subtasks : int
        Most parts of the fit.
    """

    def __init__(self, estimator: Any, n_subtasks: int) -> None:
        self.estimator = estimator
        self.contexts = [estimator._init_callback_context(max_subtasks=n_subtasks)]

    @property
    def depth(self) -> int:
        """Number of tasks that have begun, and have not ended."""
        return len(self.contexts)

    def begin_fit(self, **facts: Any) -> None:
        """Begin the whole."""
        self.contexts[0].call_on_fit_task_begin(estimator=self.estimator, **facts)

    def begin(self, name: str, n_subtasks: int = 0) -> None:
        """Begin a part of the task that is being done."""
        self.contexts.append(self.contexts[-1].subcontext(task_name=name, max_subtasks=n_subtasks))
        self.contexts[-1].call_on_fit_task_begin(estimator=self.estimator)

    def end(self, depth: int | None = None, **facts: Any) -> bool:
        """End a task, by default the last; say whether a callback asks for the end.

        What has begun below ``depth`` was cut short, and does not end.
        """
        del self.contexts[self.depth if depth is None else depth :]
        context = self.contexts.pop()
        return bool(context.call_on_fit_task_end(estimator=self.estimator, **facts))
