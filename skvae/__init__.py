"""A variational autoencoder in PCA's place."""

from skvae._autoencoder import Autoencoder
from skvae._vae import VariationalAutoencoder

__all__ = ["Autoencoder", "VariationalAutoencoder"]
__version__ = "0.1.0"
