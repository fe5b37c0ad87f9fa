"""Variational autoencoders in PCA's place, and their kin."""

from skvae._autoencoder import Autoencoder
from skvae._multilabel import CanonicalCorrelatedAutoencoder
from skvae._vae import VariationalAutoencoder

__all__ = ["Autoencoder", "CanonicalCorrelatedAutoencoder", "VariationalAutoencoder"]
__version__ = "0.1.0"
