"""The estimators: validate, fit, publish."""

from skvae.estimators._autoencoder import Autoencoder
from skvae.estimators._vae import VariationalAutoencoder

__all__ = ["Autoencoder", "VariationalAutoencoder"]
