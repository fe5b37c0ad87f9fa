"""Regularisers: penalties on the latents of many rows, and on how they are made and read."""

from skvae.regularizers._base import Aggregate, Regularizer, Sum
from skvae.regularizers._dip import DIP
from skvae.regularizers._jacobian import Contractive, DecoderGradient, squared_jacobian_norm
from skvae.regularizers._mmd import MaximumMeanDiscrepancy, squared_discrepancy
from skvae.regularizers._norm import LatentNorm, SparseActivity
from skvae.regularizers._total_correlation import TotalCorrelation, aggregate_density

__all__ = [
    "DIP",
    "Aggregate",
    "Contractive",
    "DecoderGradient",
    "LatentNorm",
    "MaximumMeanDiscrepancy",
    "Regularizer",
    "SparseActivity",
    "Sum",
    "TotalCorrelation",
    "aggregate_density",
    "squared_discrepancy",
    "squared_jacobian_norm",
]
