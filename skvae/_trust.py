"""Which classes a saved estimator of this package is made of, for ``skops`` to trust."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from skvae._sklearn.estimator import Estimator
from skvae.corruptions import Corruption
from skvae.inference import Fitted, LatentReport
from skvae.likelihoods import Likelihood
from skvae.model import Architecture
from skvae.objectives import Objective
from skvae.posteriors import Posterior
from skvae.priors import Prior
from skvae.regularizers import Regularizer
from skvae.schedules import Schedule
from skvae.starts import Start
from skvae.tables import View

# What every estimator, and every part that a user chooses, derives from.
_BASES = (
    Corruption,
    Estimator,
    Likelihood,
    Objective,
    Posterior,
    Prior,
    Regularizer,
    Schedule,
    Start,
)

# What a fitted model is kept in.
_RECORDS = (Architecture, Fitted, LatentReport, View)


def trusted_types() -> list[str]:
    """List this package's estimators and their parts, as ``skops.io.load(trusted=...)`` takes them.

    Only classes that this package defines are in it. A class or a network factory of yours, or of
    whoever gave you the file, is not: name it beside these if you know it, for loading a file runs
    what it names.

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
    # What only others derive from is in no file.
    bases = {base for cls in own for base in cls.__mro__[1:]}
    kept = {*own - bases, *_RECORDS}
    return sorted(f"{cls.__module__}.{cls.__name__}" for cls in kept if not inspect.isabstract(cls))


def _below(base: type[Any]) -> Iterator[type[Any]]:
    yield base
    for child in base.__subclasses__():
        yield from _below(child)


def _is_own(cls: type[Any]) -> bool:
    """Say whether this package defines the class: which module it is of, a class says itself."""
    own = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
    module = sys.modules.get(cls.__module__)
    return own and getattr(module, cls.__name__, None) is cls
