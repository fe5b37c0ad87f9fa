"""A variational autoencoder in PCA's place."""

from skvae._vae import VariationalAutoencoder

__all__ = ["VariationalAutoencoder"]
__version__ = "0.1.0"
