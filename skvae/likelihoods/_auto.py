"""Which likelihood a column has if nobody says."""

from __future__ import annotations

import numpy as np
from scipy.stats import skew

from skvae.likelihoods._base import Likelihood
from skvae.likelihoods._categorical import Categorical
from skvae.likelihoods._gaussian import Gaussian
from skvae.likelihoods._log_normal import LogNormal
from skvae.likelihoods._negative_binomial import NegativeBinomial
from skvae.likelihoods._nonparanormal import Nonparanormal
from skvae.likelihoods._ordinal import Ordinal
from skvae.tables import Raw

# Strings with more levels are no categories, and of more than a few levels nearly all rows' own are
# identifiers.
_MOST_LEVELS = 100
_FEW_LEVELS = 20
_UNIQUE_SHARE = 0.95

# Levels with fewer rows are pooled.
_MIN_FREQUENCY = 5

# Numbers of few distinct values with many rows each are levels: with an order if they are very few.
_MOST_VALUES = 130
_ROWS_PER_VALUE = 20
_MOST_PLACES = 10

# Integers of a larger mean are as good as continuous.
_LARGE_MEAN = 100.0

# Positive numbers of a larger skewness have their logs taken, if that makes it smaller.
_SKEWED = 2.0

# Numbers that are still this skewed have their normal scores taken, where many rows show them.
_LOPSIDED = 1.0
_MANY_ROWS = 500


def choose(raw: Raw) -> Likelihood:
    """Choose a likelihood by a column's type and values.

    Parameters
    ----------
    raw : Raw
        The column, all rows. Cells that are missing do not count.

    Returns
    -------
    likelihood : Likelihood
        A new object.

    Raises
    ------
    ValueError
        If a column of strings looks like identifiers or free text.
    """
    raw = raw.known()
    values = raw.values
    if raw.kind == "date" or not len(values):
        return Gaussian(noise="feature")
    if raw.kind == "level":
        return _of_levels(raw)
    n_distinct = len(np.unique(values))
    if n_distinct <= 1:
        return Categorical()
    if n_distinct <= _MOST_VALUES and len(values) >= _ROWS_PER_VALUE * n_distinct:
        if 2 < n_distinct <= _MOST_PLACES:
            return Ordinal()
        return Categorical(min_frequency=_MIN_FREQUENCY)
    # Of floats that happen to be whole the next rows may have fractions.
    mean, is_integer = values.mean(), "int" in raw.dtype.lower()
    if is_integer and values.min() >= 0 and mean <= _LARGE_MEAN and values.var() > mean:
        return NegativeBinomial()
    if values.min() > 0 and skew(values) > max(_SKEWED, abs(skew(np.log(values)))):
        return LogNormal()
    if len(values) >= _MANY_ROWS and abs(skew(values)) > _LOPSIDED:
        return Nonparanormal()
    return Gaussian(noise="feature")


def _of_levels(raw: Raw) -> Likelihood:
    n_levels, n_rows = len(set(raw.values.tolist())), len(raw.values)
    is_declared = raw.categories is not None
    is_unique = n_levels > _FEW_LEVELS and n_levels > _UNIQUE_SHARE * n_rows and not is_declared
    if n_levels > _MOST_LEVELS or is_unique:
        raise ValueError(
            f"Column {raw.name!r} holds {n_levels} different strings in {n_rows} rows, which look "
            f"like names or free text. Drop it, keep the most frequent as categories by "
            f"likelihood=[({raw.name!r}, Categorical(max_categories={_FEW_LEVELS}), "
            f"[{raw.name!r}])], or encode it first, with TargetEncoder for instance."
        )
    if raw.is_ordered and n_levels > 2:
        return Ordinal()
    return Categorical(min_frequency=_MIN_FREQUENCY)
