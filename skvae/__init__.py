"""Variational autoencoders in PCA's place, and their kin."""

from skvae._multilabel import CanonicalCorrelatedAutoencoder
from skvae._vae import VariationalAutoencoder

__all__ = ["CanonicalCorrelatedAutoencoder", "VariationalAutoencoder"]
__version__ = "0.1.0"
