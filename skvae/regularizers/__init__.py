"""Regularisers: penalties on the distribution of the latents over all rows."""

from skvae.regularizers._base import Aggregate, Regularizer
from skvae.regularizers._dip import DIP
from skvae.regularizers._mmd import MaximumMeanDiscrepancy, squared_discrepancy
from skvae.regularizers._total_correlation import TotalCorrelation, aggregate_density

__all__ = [
    "DIP",
    "Aggregate",
    "MaximumMeanDiscrepancy",
    "Regularizer",
    "TotalCorrelation",
    "aggregate_density",
    "squared_discrepancy",
]
