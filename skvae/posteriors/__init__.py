"""Approximate posteriors: raw encoder output -> q(z|x)."""

from skvae.posteriors._base import Posterior
from skvae.posteriors._deterministic import Deterministic, Point
from skvae.posteriors._diagonal_normal import DiagonalNormal, Normal, StretchedNormal
from skvae.posteriors._flow import Flow, FlowNormal
from skvae.posteriors._full_normal import FullCovarianceNormal, FullNormal

__all__ = [
    "Deterministic",
    "DiagonalNormal",
    "Flow",
    "FlowNormal",
    "FullCovarianceNormal",
    "FullNormal",
    "Normal",
    "Point",
    "Posterior",
    "StretchedNormal",
]
