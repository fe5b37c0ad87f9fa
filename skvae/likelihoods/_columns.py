"""Likelihoods by columns, as users state them, and as a fit takes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import clone

from skvae._sklearn.compat import BaseComposition
from skvae.likelihoods._auto import choose
from skvae.likelihoods._base import Likelihood
from skvae.likelihoods._joint import Joint
from skvae.tables import Column, RawTable, Table, read_column

# Name, likelihood and columns.
Entry = tuple[str, Any, Any]

# Gives positions of columns for what an entry names them by.
Select = Callable[[Any], list[int]]


class Columns(BaseComposition):
    """A likelihood for each column of a table, as ``ColumnTransformer`` takes its transformers.

    Given as ``likelihood``, a list of these tuples does as well. Columns that no entry names have
    the likelihood that "auto" chooses by their types and values.

    Parameters
    ----------
    columns : list of (str, Likelihood or str, columns)
        A name, by which ``set_params`` reaches the likelihood; the likelihood, or its alias; and
        columns by name, position, slice, mask, or a callable that is given the table, such as
        ``make_column_selector``.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skvae import VariationalAutoencoder
    >>> from skvae.likelihoods import Columns, LogNormal
    >>> frame = load_wine(as_frame=True).frame
    >>> columns = Columns([("positive", LogNormal(), ["proline", "color_intensity"])])
    >>> vae = VariationalAutoencoder(2, likelihood=columns, max_iter=0, random_state=0).fit(frame)
    >>> sorted(vae.sample(100, random_state=0)["target"].unique().tolist())
    [0, 1, 2]
    """

    def __init__(self, columns: Sequence[Entry] = ()) -> None:
        self.columns = columns

    @property
    def _pairs(self) -> list[tuple[str, Any]]:
        return [(name, likelihood) for name, likelihood, _ in self.columns]

    @_pairs.setter
    def _pairs(self, pairs: list[tuple[str, Any]]) -> None:
        each = zip(pairs, self.columns, strict=True)
        self.columns = [(*pair, columns) for pair, (_, _, columns) in each]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the parameters, with those of the likelihoods by their names."""
        return self._get_params("_pairs", deep=deep and self._is_well_formed)

    def set_params(self, **params: Any) -> Columns:
        """Set parameters, or likelihoods or their parameters by name."""
        self._set_params("_pairs", **params)
        return self

    @property
    def _is_well_formed(self) -> bool:
        entries = self.columns
        return isinstance(entries, list | tuple) and all(
            isinstance(entry, list | tuple) and len(entry) == 3 for entry in entries
        )

    def asked(self, select: Select) -> str:
        """Say all of it: scikit-learn's representation is cut where it is long."""
        if not self._is_well_formed:
            return repr(self.columns)
        return repr([(name, repr(own), select(columns)) for name, own, columns in self.columns])

    def check(self, named: Callable[[Any], Any]) -> list[Entry]:
        """Give the entries with likelihoods of their own.

        Parameters
        ----------
        named : callable
            Gives a likelihood for an alias, and a clone for an object.

        Returns
        -------
        entries : list of tuple
            Name, likelihood and columns.

        Raises
        ------
        ValueError
            If they are no such tuples, names are not unique, or an alias is unknown.
        """
        if not self._is_well_formed:
            raise ValueError(
                f"likelihood takes a list of tuples (name, likelihood, columns), such as "
                f"('price', LogNormal(), ['fare']). Got {self.columns!r}."
            )
        again = [name for name, n in Counter(name for name, *_ in self.columns).items() if n > 1]
        if again:
            raise ValueError(
                f"Names of likelihoods must differ. Got {again[0]!r} twice. Rename one."
            )
        for name, *_ in self.columns:
            if not isinstance(name, str) or "__" in name or name == "columns":
                raise ValueError(
                    f"The name of a likelihood is a string without '__', other than 'columns'. "
                    f"Got {name!r}. Rename it."
                )
        return [(name, named(likelihood), columns) for name, likelihood, columns in self.columns]

    def resolve(
        self,
        select: Select,
        raw_table: RawTable,
        named: Callable[[Any], Any],
        weight: np.ndarray | None = None,
    ) -> tuple[Likelihood, Table]:
        """Choose the likelihood of each column, and what numbers it becomes.

        Parameters
        ----------
        select : callable
            Gives positions of columns for what an entry names them by.
        raw_table : RawTable
            The columns, of the rows that count.
        named : callable
            As in ``check``.
        weight : ndarray of shape (n_samples,), optional
            Row weights, by which rows of a level are counted.

        Returns
        -------
        likelihood : Likelihood
            Of the numbers.
        table : Table
            From columns to numbers.
        """
        owner = self._owners(select, self.check(named), raw_table)
        columns = [
            read_column(raw, owner[j][1].coding, weight) for j, raw in enumerate(raw_table.columns)
        ]
        blocks: dict[Any, list[int]] = {}
        for j, (entry, likelihood) in enumerate(owner):
            # Columns that share a parameter are one entry's; all others of a kind are one block.
            key = (entry if _shares(likelihood) else "", repr(likelihood))
            blocks.setdefault(key, []).append(j)
        starts, first, parts = [0] * len(columns), 0, []
        for members in blocks.values():
            for j in members:
                starts[j] = first
                first += columns[j].width
            own = [columns[j] for j in members]
            n_numbers = sum(column.width for column in own)
            parts.append((_for_columns(owner[members[0]][1], own), n_numbers))
        table = Table(
            library=raw_table.library,
            names=raw_table.names,
            columns=columns,
            starts=starts,
            asked=self.asked(select),
        )
        if len(parts) == 1 and _shares(owner[0][1]):  # it is PCA's table
            return parts[0][0], table
        return Joint(parts, _chosen(owner, raw_table)), table

    @staticmethod
    def _owners(
        select: Select, entries: list[Entry], raw_table: RawTable
    ) -> list[tuple[str, Likelihood]]:
        """Name and likelihood of each column."""
        owner: dict[int, tuple[str, Likelihood]] = {}
        taken = {name for name, *_ in entries}
        for name, likelihood, selector in entries:
            for j in select(selector):
                if j in owner:
                    raise ValueError(
                        f"Column {raw_table.columns[j].name!r} has two likelihoods, "
                        f"{owner[j][0]!r} and {name!r}. Leave it out of one."
                    )
                owner[j] = name, likelihood
        for j, raw in enumerate(raw_table.columns):
            if j not in owner or (_has_levels(owner[j][1]) and raw.is_missing.all()):
                likelihood = choose(raw)
                name = _snake(type(likelihood).__name__)
                while name in taken:
                    name += "_auto"
                owner[j] = name, likelihood
        return [owner[j] for j in range(len(raw_table.columns))]


def _has_levels(likelihood: Likelihood) -> bool:
    return likelihood.coding.kind in ("indicators", "codes")


def _shares(likelihood: Likelihood) -> bool:
    """Whether columns of this likelihood share a parameter."""
    if likelihood.coding.kind != "number":
        return False
    one, two = likelihood.parameter_shapes(1), likelihood.parameter_shapes(2)
    return bool(one) and one == two


def _for_columns(likelihood: Likelihood, columns: list[Column]) -> Likelihood:
    if not _has_levels(likelihood):
        return likelihood
    levels = [column.levels for column in columns if column.levels is not None]
    return likelihood.for_levels([own.totals for own in levels])


def _chosen(owner: list[tuple[str, Likelihood]], raw_table: RawTable) -> Columns:
    """The likelihood of each column as it can be given again: by name, or else by position."""
    is_named = raw_table.library in ("pandas", "polars") and all(
        isinstance(name, str) for name in raw_table.names
    )
    entries: dict[tuple[str, str], tuple[Likelihood, list[Any]]] = {}
    for j, (name, likelihood) in enumerate(owner):
        _, columns = entries.setdefault((name, repr(likelihood)), (clone(likelihood), []))
        columns.append(raw_table.names[j] if is_named else j)
    named: dict[str, tuple[str, Likelihood, list[Any]]] = {}
    for (name, _), (likelihood, columns) in entries.items():
        while name in named:
            name += "_other"
        named[name] = name, likelihood, columns
    return Columns(list(named.values()))


def _snake(name: str) -> str:
    return re.sub("(?<!^)(?=[A-Z])", "_", name).lower()
