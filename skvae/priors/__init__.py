"""Priors: p(z)."""

from skvae.priors._standard_normal import StandardNormal

__all__ = ["StandardNormal"]
