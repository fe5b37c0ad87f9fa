"""Variational autoencoders in PCA's place, and their kin."""

from skvae._trust import trusted_types
from skvae.estimators._autoencoder import Autoencoder
from skvae.estimators._vae import VariationalAutoencoder
from skvae.multilabel._estimator import CanonicalCorrelatedAutoencoder

__all__ = [
    "Autoencoder",
    "CanonicalCorrelatedAutoencoder",
    "VariationalAutoencoder",
    "trusted_types",
]
__version__ = "0.1.0"
