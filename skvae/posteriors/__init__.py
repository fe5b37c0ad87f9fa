"""Approximate posteriors: raw encoder output -> q(z|x)."""

from skvae.posteriors._diagonal_normal import DiagonalNormal, Normal

__all__ = ["DiagonalNormal", "Normal"]
