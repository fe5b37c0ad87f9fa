"""Which classes a saved estimator of this package is made of, for ``skops`` to trust."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_type_hints

from skvae._sklearn.estimator import Saved
from skvae.corruptions import Corruption
from skvae.likelihoods import Columns, Likelihood
from skvae.nn import NetworkFactory
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.schedules import Schedule
from skvae.starts import Start

# What every estimator, and every part that a user chooses, derives from.
_BASES = (
    Columns,
    Corruption,
    Likelihood,
    NetworkFactory,
    Objective,
    Posterior,
    Prior,
    Regularizer,
    Saved,
    Schedule,
    Start,
)


def trusted_types() -> list[str]:
    """List this package's estimators and their parts, as ``skops.io.load(trusted=...)`` takes them.

    Only classes that this package defines are in it. A class or a network factory of yours, or of
    whoever gave you the file, is not: name it beside these if you know it, because loading a
    file runs what it names.

    Returns
    -------
    names : list of str
        Fully qualified names, sorted.

    Examples
    --------
    >>> import skvae
    >>> "skvae.likelihoods._gaussian.Gaussian" in skvae.trusted_types()
    True

    A model from somewhere else is loaded by ``skops.io.load("model.skops",
    trusted=skvae.trusted_types())``, which raises where the file names anything else.
    """
    own = {cls for base in _BASES for cls in _below(base) if _is_own(cls)}
    # Bases of estimators are in no file; a component may be another's base.
    bases = {base for cls in own if issubclass(cls, Saved) for base in cls.__mro__[1:]}
    chosen = {cls for cls in own - bases if not inspect.isabstract(cls)}
    return sorted(f"{cls.__module__}.{cls.__name__}" for cls in chosen | _facts(chosen))


def _below(base: type[Any]) -> Iterator[type[Any]]:
    yield base
    for child in base.__subclasses__():
        yield from _below(child)


def _facts(classes: Iterable[type[Any]]) -> set[type[Any]]:
    """Dataclasses of this package that annotations of these classes, and theirs in turn, name."""
    found: set[type[Any]] = set()
    waiting: list[Any] = [hint for cls in classes for hint in get_type_hints(cls).values()]
    while waiting:
        hint = waiting.pop()
        waiting += get_args(hint)
        if isinstance(hint, type) and dataclasses.is_dataclass(hint) and _is_own(hint):
            waiting += [] if hint in found else get_type_hints(hint).values()
            found.add(hint)
    return found


def _is_own(cls: type[Any]) -> bool:
    """Say whether this package defines the class: which module it is of, a class says itself."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    module = sys.modules.get(cls.__module__)
    return own and getattr(module, cls.__name__, None) is cls
