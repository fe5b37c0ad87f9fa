"""A table's columns as numbers that a model sees, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvae.tables._levels import Coding, Levels, read_levels
from skvae.tables._raw import TICKS, Raw, RawTable
from skvae.tables._scores import Scores, read_scores
from skvae.tables._write import as_dates, plain, write_columns, write_table

# Day, hour, minute, second, millisecond and microsecond.
_UNITS = (TICKS, TICKS // 24, TICKS // 1440, 10**6, 10**3, 1)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column as it was at fit.

    Attributes
    ----------
    name : str
        As in messages.
    kind : {"number", "level", "date", "missing"}
        Of the cells; the last if there were none.
    coding : {"number", "scores", "indicators", "codes"}
        What they become.
    dtype : str
        The library's name of the column's type.
    categories : ndarray or None
        All levels that the type declares.
    is_ordered : bool
        Whether their order means something.
    levels : Levels or None
        Those that had rows; None for a number.
    scores : Scores or None
        Normal scores of a number, if it becomes one.
    minimum, maximum, step : float
        Range of numbers, and what they are multiples of, or 0.
    """

    name: str
    kind: str
    coding: str
    dtype: str
    categories: np.ndarray | None = None
    is_ordered: bool = False
    levels: Levels | None = None
    scores: Scores | None = None
    minimum: float = 0.0
    maximum: float = 0.0
    step: float = 0.0

    @property
    def width(self) -> int:
        """Number of columns that it becomes."""
        return 1 if self.levels is None or self.coding == "codes" else self.levels.n_places

    @property
    def names(self) -> list[str]:
        """Names of the columns that it becomes."""
        if self.levels is None or self.coding == "codes":
            return [self.name]
        return [f"{self.name}={level}" for level in self.levels.names]

    def encode(self, raw: Raw) -> np.ndarray:
        """Give the numbers of a column, shape (n_samples, width), NaN where a cell is missing.

        Of a column that had no cells at fit nothing is known, and later ones are missing, too.
        """
        if self.kind == "missing" or raw.is_missing.all():
            return np.full((len(raw.values), self.width), np.nan)
        if raw.kind != self.kind:
            raise ValueError(
                f"Column {self.name!r} held {self.kind}s at fit. Got {raw.kind}s, of type "
                f"{raw.dtype}. Give it in the type of fit, {self.dtype}."
            )
        if self.levels is None:
            return (raw.values if self.scores is None else self.scores.there(raw.values))[:, None]
        place = self.levels.find(raw)[:, None]
        if self.coding == "codes":
            return place
        indicators, is_missing = place == np.arange(self.width), np.isnan(place)
        return np.where(is_missing, np.nan, indicators) if is_missing.any() else indicators

    def decode(self, numbers: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Give cells of numbers (n_samples, width); with a generator pooled levels are drawn."""
        if self.kind == "missing":
            return np.full(len(numbers), None, dtype=object)
        if self.levels is None:
            values = numbers[:, 0].astype(np.float64)
            if self.scores is not None:
                values = self.scores.back(values)
            if self.step:
                values = np.round(values / self.step) * self.step + 0.0  # no minus zero
            return values.clip(self.minimum, self.maximum)
        if self.coding == "indicators":
            return self.levels.give(numbers.argmax(1), rng)
        place = np.round(numbers[:, 0]).astype(np.intp)
        return self.levels.give(place.clip(0, self.levels.n_places - 1), rng)

    def fill(
        self, cells: np.ndarray, is_missing: np.ndarray | bool, given: Raw | None
    ) -> np.ndarray:
        """Give decoded cells with some missing, and with the known ones of ``given`` instead."""
        if self.kind == "level":
            cells = cells.astype(object)
        cells[is_missing] = np.nan if cells.dtype.kind == "f" else None
        if given is not None:
            known = given.known().values
            is_date = self.kind == "missing" and given.kind == "date"
            cells[~given.is_missing] = as_dates(known).astype(object) if is_date else known
        return cells


def read_column(raw: Raw, coding: Coding, weight: np.ndarray | None = None) -> Column:
    """Remember a column for later rows, by its cells that are not missing.

    Raises
    ------
    ValueError
        If it holds levels where numbers are needed, or an order is missing.
    """
    about: dict[str, Any] = {
        "name": raw.name,
        "kind": raw.kind,
        "coding": coding.kind,
        "dtype": raw.dtype,
        "categories": raw.categories,
        "is_ordered": raw.is_ordered,
    }
    if raw.is_missing.all():
        return Column(**about | {"kind": "missing", "coding": "number"})
    weight = None if weight is None else weight[~raw.is_missing]
    raw = raw.known()
    if coding.kind in ("indicators", "codes"):
        return Column(**about, levels=read_levels(raw, coding, weight))
    if raw.kind == "level":
        raise ValueError(
            f"Column {raw.name!r} holds categories, such as {raw.values[0]!r}, where its "
            f"likelihood takes numbers. Choose likelihood='auto', or Categorical() for this "
            f"column, or encode it with OneHotEncoder."
        )
    about |= _range_of(raw)
    return Column(**about, scores=read_scores(raw.values) if coding.kind == "scores" else None)


def _range_of(raw: Raw) -> dict[str, float]:
    values, step = raw.values, 0.0
    if raw.kind == "date":
        ticks = np.round(values * TICKS).astype(np.int64)
        step = next(unit for unit in _UNITS if not (ticks % unit).any()) / TICKS
    elif (values == np.round(values)).all():
        step = 1.0
    return {"minimum": float(values.min()), "maximum": float(values.max()), "step": step}


def plain_table(raw_table: RawTable) -> Table:
    """Give a table of numbers as they are, in the types that they came in."""
    columns = [
        Column(
            name=raw.name,
            kind="missing" if raw.is_missing.all() else raw.kind,
            coding="number",
            dtype=raw.dtype,
            minimum=-np.inf,
            maximum=np.inf,
            step=1.0 if "int" in raw.dtype.lower() else 0.0,
        )
        for raw in raw_table.columns
    ]
    return Table(
        library=raw_table.library,
        names=raw_table.names,
        columns=columns,
        starts=list(range(len(columns))),
        asked="",
    )


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
    def places(self) -> list[slice]:
        """Where the numbers of each column are."""
        each = zip(self.starts, self.columns, strict=True)
        return [slice(start, start + column.width) for start, column in each]

    @property
    def number_names(self) -> list[str]:
        """Names of the columns of numbers."""
        names = [""] * self.width
        for place, column in zip(self.places, self.columns, strict=True):
            names[place] = column.names
        return names

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and largest value of each column of numbers that decodes to one within range."""
        low, high = np.full(self.width, -np.inf), np.full(self.width, np.inf)
        for place, column in zip(self.places, self.columns, strict=True):
            if column.levels is None and column.minimum < column.maximum:
                ends = np.array([column.minimum, column.maximum])
                ends += 0.5 * column.step * np.array([-1.0, 1.0])
                low[place], high[place] = (
                    ends if column.scores is None else column.scores.there(ends)
                )
        return low, high

    @property
    def has_scores(self) -> bool:
        """Whether a column has its normal scores taken."""
        return any(column.scores is not None for column in self.columns)

    def log_jacobian(
        self, numbers: np.ndarray, observed: np.ndarray | None = None
    ) -> np.ndarray | float:
        """What a log-density of rows of numbers is less than that of the table's, (n_samples,).

        Parameters
        ----------
        numbers : ndarray of shape (n_samples, width)
            Encoded rows.
        observed : ndarray of shape (n_samples, width), optional
            1 where a number counts, 0 where its cell is missing.
        """
        total: np.ndarray | float = 0.0
        for place, column in zip(self.places, self.columns, strict=True):
            if column.scores is not None:
                slope = column.scores.log_slope(numbers[:, place.start])
                total = total + (slope if observed is None else slope * observed[:, place.start])
        return total

    def missing(self, numbers: np.ndarray) -> np.ndarray:
        """Whether each cell of the table is missing in its numbers, (n_samples, n_columns)."""
        return np.isnan(numbers[:, self.starts])

    def check_given(self, raw_table: RawTable, numbers: np.ndarray) -> None:
        """Raise ValueError if a cell that is given is a level that fit did not see."""
        lost = self.missing(numbers) & ~np.column_stack([c.is_missing for c in raw_table.columns])
        for row, j in np.argwhere(lost & [column.kind != "missing" for column in self.columns]):
            levels = self.columns[j].levels
            known = "" if levels is None else f" Known are {', '.join(levels.names[:10])}."
            raise ValueError(
                f"given has {raw_table.columns[j].values[row]!r} for column "
                f"{self.columns[j].name!r}, which was not there at fit.{known}"
            )

    def encode(self, raw_table: RawTable) -> np.ndarray:
        """Numbers of a table, float32 if all of its columns are, else float64."""
        is_single = all(raw.dtype in ("float32", "Float32") for raw in raw_table.columns)
        kind = np.float32 if is_single else np.float64
        numbers = np.empty((raw_table.n_samples, self.width), dtype=kind)
        for place, column, raw in zip(self.places, self.columns, raw_table.columns, strict=True):
            numbers[:, place] = column.encode(raw)
        return numbers

    def decode(
        self,
        numbers: np.ndarray,
        rng: np.random.Generator | None = None,
        library: str | None = None,
        missing: np.ndarray | None = None,
        given: RawTable | None = None,
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
        missing : ndarray of bool of shape (n_samples, n_columns), optional
            Cells to leave missing.
        given : RawTable of n_samples rows, optional
            Its cells that are not missing replace the decoded ones, as they are.
        """
        places = zip(self.places, self.columns, strict=True)
        cells = [column.decode(numbers[:, place], rng) for place, column in places]
        if missing is not None or given is not None:
            cells = [
                column.fill(
                    cells[j],
                    False if missing is None else missing[:, j],
                    None if given is None else given.columns[j],
                )
                for j, column in enumerate(self.columns)
            ]
        if library not in (None, self.library):
            each = zip(cells, self.columns, strict=True)
            return write_columns([plain(*pair) for pair in each], self.names, library)
        is_single = all(column.dtype == "float32" for column in self.columns)
        kind = np.dtype(np.float32 if is_single else np.float64)
        return write_table(cells, self.columns, self.names, self.library, kind)
