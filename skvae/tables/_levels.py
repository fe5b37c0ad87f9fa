"""Levels of a column: categories, or numbers of few values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skvae.tables._raw import Raw


@dataclass(frozen=True)
class Coding:
    """How a column of a table becomes numbers.

    Attributes
    ----------
    kind : {"number", "scores", "indicators", "codes"}
        A number as it is, or its normal score; ones and zeros for each level; or the level's place
        in their order.
    min_frequency, max_categories : int or None
        Rarer levels, and those beyond this number, are pooled.
    handle_unknown : {"missing", "error"}
        What a level is that fit did not see, where none are pooled.
    """

    kind: str = "number"
    min_frequency: int | None = None
    max_categories: int | None = None
    handle_unknown: str = "missing"


@dataclass(frozen=True, kw_only=True)
class Levels:
    """Levels that had rows at fit.

    Attributes
    ----------
    values : ndarray of shape (n_levels,)
        In their order.
    counts : ndarray of shape (n_levels,)
        Number of rows of each, or their weight.
    places : ndarray of int of shape (n_levels,)
        Place of each among the indicators or codes; pooled levels share the last one.
    handle_unknown : {"missing", "error"}
        What a level is that fit did not see, where none are pooled.
    """

    values: np.ndarray
    counts: np.ndarray
    places: np.ndarray
    handle_unknown: str = "missing"

    @property
    def n_places(self) -> int:
        """Number of indicators, or of codes."""
        return int(self.places.max()) + 1

    @property
    def totals(self) -> np.ndarray:
        """Number of rows at each place."""
        return np.bincount(self.places, self.counts)

    @property
    def is_pooled(self) -> bool:
        """Whether levels share a place."""
        return self.n_places < len(self.places)

    @property
    def names(self) -> list[str]:
        """Name of each place."""
        own = dict(zip(self.places.tolist(), map(str, self.values.tolist()), strict=True))
        if self.is_pooled:
            own[self.n_places - 1] = "infrequent"
        return [own[place] for place in sorted(own)]

    def find(self, raw: Raw) -> np.ndarray:
        """Place of each cell's level, float64, and NaN where it is missing.

        A number between levels counts as the nearest. A level that fit did not see counts as one of
        those that are pooled, or else as missing.

        Raises
        ------
        ValueError
            If there is such a level, none are pooled, and handle_unknown is "error".
        """
        if raw.kind != "level":
            middle = 0.5 * (self.values[1:] + self.values[:-1])
            place = self.places[np.searchsorted(middle, raw.values)]
            return np.where(raw.is_missing, np.nan, place)
        order: dict[Any, float] = dict(zip(self.values.tolist(), self.places.tolist(), strict=True))
        unknown = -1.0 if self.handle_unknown == "error" else np.nan
        if self.is_pooled:
            unknown = self.n_places - 1.0
        order[None] = np.nan
        found = np.array([order.get(value, unknown) for value in raw.values], dtype=np.float64)
        if (found < 0).any():
            row = int((found < 0).argmax())
            known = ", ".join(repr(level) for level in self.values[:10].tolist())
            raise ValueError(
                f"Column {raw.name!r} holds {raw.values[row]!r} in row {row}, which was not there "
                f"at fit. Known are {known}{', ...' if len(self.values) > 10 else ''}. Let it "
                f"count as missing, by handle_unknown='missing', fit with rows that have it, in a "
                f"search by KFold(shuffle=True), or pool rare levels by "
                f"Categorical(min_frequency=...), which takes new ones, too."
            )
        return found

    def give(self, place: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """Give the level at each place: of those pooled the most frequent, or a draw."""
        by_frequency = np.lexsort((-self.counts, self.places))
        index = by_frequency[np.searchsorted(self.places[by_frequency], place)]
        if rng is not None and self.is_pooled:
            pooled = np.flatnonzero(self.places == self.n_places - 1)
            rare = np.flatnonzero(place == self.n_places - 1)
            share = self.counts[pooled] / self.counts[pooled].sum()
            index[rare] = rng.choice(pooled, len(rare), p=share)
        return self.values[index]


def read_levels(raw: Raw, coding: Coding, weight: np.ndarray | None = None) -> Levels:
    """Read the levels of a column without missing cells, with the weights of their rows.

    Raises
    ------
    ValueError
        If codes need an order that there is not.
    """
    if raw.kind != "level":
        values, index = np.unique(raw.values, return_inverse=True)
    else:
        cells = raw.values.tolist()
        found = set(cells)
        declared = sorted(found) if raw.categories is None else raw.categories.tolist()
        order = {level: i for i, level in enumerate(level for level in declared if level in found)}
        values, index = np.asarray(list(order)), np.array([order[cell] for cell in cells])
    counts = np.bincount(index, weight)
    levels = Levels(
        values=values,
        counts=counts,
        places=_pool(counts, coding) if coding.kind == "indicators" else np.arange(len(values)),
        handle_unknown=coding.handle_unknown,
    )
    if coding.kind == "indicators":
        return levels
    if raw.kind == "level" and not raw.is_ordered and len(values) > 2:
        raise ValueError(
            f"Ordinal() needs an order, but column {raw.name!r} holds {raw.dtype} without one. "
            f"Make it an ordered category, by pandas.Categorical(..., ordered=True) or "
            f"polars.Enum, or choose Categorical()."
        )
    return levels


def _pool(counts: np.ndarray, coding: Coding) -> np.ndarray:
    """Place of each level: its own, or the last one for those that are rare."""
    is_rare, most = counts < (coding.min_frequency or 0), coding.max_categories
    n_places = int((~is_rare).sum() + is_rare.any())
    if most is not None and n_places > most:
        is_rare[np.argsort(-counts, kind="stable")[most - 1 :]] = True
    if is_rare.sum() < 2:
        return np.arange(len(counts))
    places = np.cumsum(~is_rare) - 1
    places[is_rare] = (~is_rare).sum()
    return places
