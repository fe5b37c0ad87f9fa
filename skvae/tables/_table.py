"""A table's columns as numbers that a model sees, and back."""

from __future__ import annotations

import collections
from dataclasses import dataclass
from typing import Any

import numpy as np

from skvae.tables._source import TICKS, Raw, Source
from skvae.tables._write import write_columns, write_table

# Day, hour, minute, second, millisecond and microsecond.
_UNITS = (TICKS, TICKS // 24, TICKS // 1440, 10**6, 10**3, 1)


@dataclass(frozen=True)
class Coding:
    """How a column of a table becomes numbers.

    Attributes
    ----------
    kind : {"number", "indicators", "codes"}
        A number as it is; ones and zeros for each level; or the level's place in their order.
    min_frequency, max_categories : int or None
        Rarer levels, and those beyond this number, are pooled.
    """

    kind: str = "number"
    min_frequency: int | None = None
    max_categories: int | None = None


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as it was at fit.

    Attributes
    ----------
    name : str
        As in messages.
    kind : {"number", "level", "date"}
        Of the cells.
    coding : {"number", "indicators", "codes"}
        What they become.
    dtype : str
        The library's name of the column's type.
    categories : ndarray or None
        All levels that the type declares.
    is_ordered : bool
        Whether their order means something.
    levels : ndarray or None
        Levels that had rows, in their order, if there are any.
    counts : ndarray or None
        Number of rows at each.
    places : ndarray of int or None
        Place of each level among the indicators; pooled levels share the last one.
    minimum, maximum, step : float
        Range of numbers, and what they are multiples of, or 0.
    """

    name: str
    kind: str
    coding: str
    dtype: str
    categories: np.ndarray | None = None
    is_ordered: bool = False
    levels: np.ndarray | None = None
    counts: np.ndarray | None = None
    places: np.ndarray | None = None
    minimum: float = 0.0
    maximum: float = 0.0
    step: float = 0.0

    @property
    def width(self) -> int:
        """Number of columns that it becomes."""
        return len(self.totals) if self.coding == "indicators" else 1

    @property
    def totals(self) -> np.ndarray:
        """Number of rows at each place."""
        return np.bincount(self.places, self.counts)

    @property
    def pooled(self) -> bool:
        """Whether levels share a place."""
        return self.places is not None and len(self.totals) < len(self.places)

    @property
    def names(self) -> list[str]:
        """Names of the columns that it becomes."""
        if self.coding != "indicators":
            return [self.name]
        assert self.levels is not None
        own = {place: level for level, place in zip(self.levels, self.places, strict=True)}
        if self.pooled:
            own[max(own)] = "infrequent"
        return [f"{self.name}={own[place]}" for place in sorted(own)]

    # ------------------------------------------------------------------ there

    def encode(self, raw: Raw) -> np.ndarray:
        """Give the numbers of a column, shape (n_samples, width)."""
        if raw.kind != self.kind:
            raise ValueError(
                f"Column {self.name!r} held {self.kind}s at fit. Got {raw.kind}s, of type "
                f"{raw.dtype}. Give it in the type of fit, {self.dtype}."
            )
        if self.coding == "number":
            return raw.values[:, None]
        place = self.places[self._find(raw)]
        if self.coding == "codes":
            return place[:, None].astype(np.float64)
        return np.eye(self.width)[place]

    def _find(self, raw: Raw) -> np.ndarray:
        """Index of each cell's level.

        A number between levels counts as the nearest. A level that fit did not see counts as one of
        those that are pooled, if any are.
        """
        levels = self.levels
        assert levels is not None
        if self.kind != "level":
            middle = 0.5 * (levels[1:] + levels[:-1])
            return np.searchsorted(middle, raw.values)
        order = {level: i for i, level in enumerate(levels.tolist())}
        found = np.array([order.get(value, -1) for value in raw.values], dtype=np.intp)
        if (found < 0).any():
            if not self.pooled:
                row = int((found < 0).argmax())
                known = ", ".join(repr(level) for level in levels[:10].tolist())
                raise ValueError(
                    f"Column {self.name!r} holds {raw.values[row]!r} in row {row}, which was not "
                    f"there at fit. Known are {known}{', ...' if len(levels) > 10 else ''}. Drop "
                    f"the row, or fit with rows that have it."
                )
            found[found < 0] = int(np.argmax(self.places))
        return found

    # ------------------------------------------------------------------ back

    def decode(self, numbers: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Give cells of numbers (n_samples, width); with a generator pooled levels are drawn."""
        if self.coding == "number":
            values = numbers[:, 0].astype(np.float64)
            if self.step:
                values = np.round(values / self.step) * self.step
            return values.clip(self.minimum, self.maximum)
        if self.coding == "codes":
            place = np.round(numbers[:, 0]).astype(np.intp).clip(0, len(self.totals) - 1)
        else:
            place = numbers.argmax(1)
        levels, counts = self.levels, self.counts
        assert levels is not None and counts is not None and self.places is not None
        # Of each place the most frequent level, unless draws are asked for.
        rank = np.lexsort((-counts, self.places))
        index = rank[np.searchsorted(self.places[rank], place)]
        if rng is not None and self.pooled:
            last = self.places == self.places.max()
            rare = np.flatnonzero(place == self.places.max())
            share = counts[last] / counts[last].sum()
            index[rare] = rng.choice(np.flatnonzero(last), len(rare), p=share)
        return levels[index]


def read_column(raw: Raw, coding: Coding) -> Column:
    """Remember a column for later rows.

    Raises
    ------
    ValueError
        If levels are needed where there are none, or an order.
    """
    about: dict[str, Any] = {
        "name": raw.name,
        "kind": raw.kind,
        "coding": coding.kind,
        "dtype": raw.dtype,
        "categories": raw.categories,
        "is_ordered": raw.is_ordered,
    }
    if coding.kind == "number":
        if raw.kind == "level":
            raise ValueError(
                f"Column {raw.name!r} holds categories, such as {raw.values[0]!r}, where its "
                f"likelihood takes numbers. Choose likelihood='auto', or Categorical() for this "
                f"column, or encode it with OneHotEncoder."
            )
        about |= _range_of(raw)
        return Column(**about)
    levels, counts = _levels_of(raw)
    if coding.kind == "codes" and raw.kind == "level" and not raw.is_ordered:
        is_flag = levels.dtype.kind == "b"
        if not is_flag and len(levels) > 2:
            raise ValueError(
                f"Ordinal() needs an order, but column {raw.name!r} holds {raw.dtype} without one. "
                f"Make it an ordered category, pandas.Categorical(..., ordered=True) or "
                f"polars.Enum, or choose Categorical()."
            )
    places = np.arange(len(levels))
    if coding.kind == "indicators":
        places = _pool(counts, coding)
    return Column(**about, levels=levels, counts=counts, places=places)


def _levels_of(raw: Raw) -> tuple[np.ndarray, np.ndarray]:
    """Levels that have rows, and how many."""
    if raw.kind != "level":
        return np.unique(raw.values, return_counts=True)
    found = collections.Counter(raw.values.tolist())
    declared = sorted(found) if raw.categories is None else raw.categories.tolist()
    levels = [level for level in declared if level in found]
    return np.asarray(levels), np.array([found[level] for level in levels])


def _pool(counts: np.ndarray, coding: Coding) -> np.ndarray:
    """Place of each level: its own, or the last one for those that are rare."""
    is_rare = counts < (coding.min_frequency or 0)
    most = coding.max_categories
    if most is not None and len(counts) - is_rare.sum() + is_rare.any() > most:
        kept = np.argsort(-counts, kind="stable")[: max(most - 1, 0)]
        is_rare[np.setdiff1d(np.arange(len(counts)), kept)] = True
    if is_rare.sum() < 2:
        return np.arange(len(counts))
    places = np.cumsum(~is_rare) - 1
    places[is_rare] = (~is_rare).sum()
    return places


def _range_of(raw: Raw) -> dict[str, float]:
    values, step = raw.values, 0.0
    if raw.kind == "date":
        ticks = np.round(values * TICKS).astype(np.int64)
        step = next(unit for unit in _UNITS if not (ticks % unit).any()) / TICKS
    elif (values == np.round(values)).all():
        step = 1.0
    return {"minimum": float(values.min()), "maximum": float(values.max()), "step": step}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table as it was at fit: from its columns to the numbers that a model sees, and back.

    Attributes
    ----------
    library : {"pandas", "polars", "array", "objects"}
        What it came in, and goes out as.
    names : list
        Names of its columns.
    columns : list of Column
        The columns.
    starts : list of int
        Where the numbers of each begin; their order is that of the likelihood's blocks.
    asked : str
        What likelihood was asked for, by which a later fit tells whether that has changed.
    """

    library: str
    names: list[Any]
    columns: list[Column]
    starts: list[int]
    asked: str

    @property
    def width(self) -> int:
        """Number of columns of numbers."""
        return sum(column.width for column in self.columns)

    @property
    def _places(self) -> list[slice]:
        each = zip(self.starts, self.columns, strict=True)
        return [slice(start, start + column.width) for start, column in each]

    @property
    def number_names(self) -> list[str]:
        """Names of the columns of numbers."""
        names = [""] * self.width
        for place, column in zip(self._places, self.columns, strict=True):
            names[place] = column.names
        return names

    def encode(self, source: Source) -> np.ndarray:
        """Numbers of a table, float32 if all of its columns are, else float64."""
        is_single = all(raw.dtype in ("float32", "Float32") for raw in source.columns)
        kind = np.float32 if is_single else np.float64
        numbers = np.empty((source.n_samples, self.width), dtype=kind)
        for place, column, raw in zip(self._places, self.columns, source.columns, strict=True):
            numbers[:, place] = column.encode(raw)
        return numbers

    def decode(
        self,
        numbers: np.ndarray,
        rng: np.random.Generator | None = None,
        library: str | None = None,
    ) -> Any:
        """Rows of numbers: a table as that of fit, or of another library.

        Parameters
        ----------
        numbers : ndarray of shape (n_samples, width)
            Means, or draws.
        rng : Generator, optional
            Draws which of the pooled levels a cell has; by default it is the most frequent.
        library : {"pandas", "polars"}, optional
            What to give.
        """
        places = zip(self._places, self.columns, strict=True)
        cells = [column.decode(numbers[:, place], rng) for place, column in places]
        if library not in (None, self.library):
            return write_columns(cells, self.names, library)
        return write_table(cells, self.columns, self.names, self.library, numbers.dtype)
