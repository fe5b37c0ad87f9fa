"""How far rows are below a typical one, whichever of their cells are missing."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skvae._core.math import log_mean_exp, weighted_quantile
from skvae.inference._fitted import Fitted

# Draws per row for log p(x), which has no error at the PCA start.
N_DRAWS = 20

# Rows by which the distance of a single cell is measured.
_N_DRAWN = 1000


def log_density(fitted: Fitted, numbers: np.ndarray) -> np.ndarray:
    """Log p(x) of rows, by their observed cells."""
    return fitted.read_log_weights(numbers, N_DRAWS, log_mean_exp)


@dataclass(frozen=True, kw_only=True)
class Typical:
    """The typical row of a linear model, and how far its rows are from that.

    A row with the observed cells o has the distance

        delta = 2 (log p(t_o) - log p(x_o)),

    where t_o are these cells of the typical row, under the linear model. Of a Gaussian it is the
    squared Mahalanobis distance, whose expectation is the number of the cells, and whose variance
    is twice that.

    Attributes
    ----------
    start : Fitted
        The linear model.
    row : ndarray of shape (1, n_numbers)
        Means of numbers, and the most probable levels, at z = 0.
    expected, variance : ndarray of shape (n_cells,)
        Expectation and variance of the distance that each cell alone has.
    unit, shift : float
        What corrects the median distance of the rows of fit, by the linear model and by the trained
        one: a factor of the expectation, and so many expectations more.
    """

    start: Fitted
    row: np.ndarray
    expected: np.ndarray
    variance: np.ndarray
    unit: float = 1.0
    shift: float = 0.0

    def peak(self, numbers: np.ndarray) -> np.ndarray:
        """Log p(t_o) of the observed cells of each row, (n_samples,)."""
        missing, pattern = np.unique(np.isnan(numbers), axis=0, return_inverse=True)
        rows = np.where(missing, np.nan, self.row)
        return log_density(self.start, rows)[pattern.ravel()]

    def distance(
        self, fitted: Fitted, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances of rows by a model's log p(x), with their expectations and variances.

        Parameters
        ----------
        fitted : Fitted
            The linear model itself, or one that was trained from it.
        numbers : ndarray of shape (n_samples, n_numbers)
            Rows, NaN where a cell is missing.

        Returns
        -------
        distance, expected, variance : ndarray of shape (n_samples,)
            The latter two under the linear model, of the cells that a row has.
        """
        distance = 2.0 * (self.peak(numbers) - log_density(fitted, numbers))
        first = [place.start for place in self.start.cells]
        observed = (~np.isnan(numbers[:, first])).astype(np.float64)
        return distance, observed @ self.expected, observed @ self.variance

    def ratios(self, fitted: Fitted, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances over their expectations, and degrees of freedom; 0 without a telling cell."""
        distance, expected, variance = self.distance(fitted, numbers)
        known = (expected > 0) & (variance > 0)
        expected, variance = np.where(known, expected, 1.0), np.where(known, variance, 1.0)
        freedom = np.where(known, 2.0 * expected**2 / variance, 0.0)
        return distance / (self.unit * expected) + self.shift, freedom

    def scores(self, fitted: Fitted, numbers: np.ndarray) -> np.ndarray:
        """Minus the normal deviates of distances as chi-squares (Wilson and Hilferty 1931)."""
        ratio, freedom = self.ratios(fitted, numbers)
        spread = 2.0 / (9.0 * np.where(freedom > 0, freedom, 1.0))
        return np.where(freedom > 0, (1.0 - spread - np.cbrt(ratio)) / np.sqrt(spread), 0.0)

    def calibrated(self, fitted: Fitted, numbers: np.ndarray, weight: np.ndarray) -> Typical:
        """Give rows of positive weight the median distance that a chi-square has."""
        by_start, freedom = self.ratios(self.start, numbers)
        told = freedom > 0
        if not told.any():
            return self
        middle = (1.0 - 2.0 / (9.0 * freedom[told])) ** 3
        unit = weighted_quantile(by_start[told] / middle, 0.5, weight[told])
        scaled = replace(self, unit=unit if unit > 0 else 1.0)
        left = middle - scaled.ratios(fitted, numbers)[0][told]
        return replace(scaled, shift=weighted_quantile(left, 0.5, weight[told]))

    def shares(self, fitted: Fitted, numbers: np.ndarray) -> np.ndarray:
        """Nats that each cell takes from a row's log p(x), (n_samples, n_cells).

        Cell after cell of the typical row is replaced by the row's own, in the table's order and in
        the reverse one, and what log p(x) falls by is the cell's: the mean over the two orders adds
        up to log p(t_o) - log p(x_o). Of a quadratic log p(x) it is the mean over all orders,
        Shapley's value.
        """
        places = self.start.cells
        typical = np.where(np.isnan(numbers), np.nan, self.row)
        shares = np.zeros((len(numbers), len(places)))
        for order in (range(len(places)), reversed(range(len(places)))):
            rows = typical.copy()
            before = log_density(fitted, rows)
            for j in order:
                rows[:, places[j]] = numbers[:, places[j]]
                after = log_density(fitted, rows)
                shares[:, j] += 0.5 * (before - after)
                before = after
        return shares


def find_typical(start: Fitted, moments: tuple[np.ndarray, np.ndarray] | None = None) -> Typical:
    """Find the typical row of a linear model.

    Parameters
    ----------
    start : Fitted
        The model.
    moments : tuple of ndarray of shape (n_cells,), optional
        Expectation and variance of the distance of each cell, if they are known; otherwise they are
        measured on rows that the model draws.

    Returns
    -------
    typical : Typical
    """
    row, places = start.decode(np.zeros((1, start.architecture.n_components))), start.cells
    columns = [] if start.table is None else start.table.columns
    for place, column in zip(places, columns, strict=False):
        if column.coding == "indicators":
            row[0, place] = np.arange(column.width) == row[0, place].argmax()
        elif column.levels is not None:
            row[0, place] = np.round(row[0, place]).clip(0, column.levels.n_places - 1)
    expected, variance = np.zeros((2, len(places))) if moments is None else moments
    typical = Typical(start=start, row=row, expected=expected, variance=variance)
    return typical if moments is not None else _measured(typical, places)


def _measured(typical: Typical, places: list[slice]) -> Typical:
    """Measure the distances of single cells on rows that the linear model draws."""
    start, rng = typical.start, np.random.default_rng(typical.start.seed)
    drawn = start.decode(start.sample_prior(_N_DRAWN, start.seed).astype(np.float64), rng)
    moments = np.zeros((2, len(places)))
    for j, place in enumerate(places):
        alone = np.full_like(drawn, np.nan)
        alone[:, place] = drawn[:, place]
        if not np.isnan(alone[:, place]).any():
            distance = typical.distance(start, alone)[0]
            moments[:, j] = max(distance.mean(), 0.0), distance.var()
    return replace(typical, expected=moments[0], variance=moments[1])
