"""The estimators: validate, fit, publish."""

from skvae.estimators._autoencoder import Autoencoder
from skvae.estimators._imputer import VAEImputer
from skvae.estimators._outlier import VAEOutlierDetector
from skvae.estimators._vae import VariationalAutoencoder

__all__ = ["Autoencoder", "VAEImputer", "VAEOutlierDetector", "VariationalAutoencoder"]
