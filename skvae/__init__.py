"""Variational autoencoders in PCA's place, and their kin."""

from skvae._trust import trusted_types
from skvae.estimators._autoencoder import Autoencoder
from skvae.estimators._imputer import VAEImputer
from skvae.estimators._outlier import VAEOutlierDetector
from skvae.estimators._vae import VariationalAutoencoder
from skvae.explorer import LatentExplorer
from skvae.multilabel import CanonicalCorrelatedAutoencoder

__all__ = [
    "Autoencoder",
    "CanonicalCorrelatedAutoencoder",
    "LatentExplorer",
    "VAEImputer",
    "VAEOutlierDetector",
    "VariationalAutoencoder",
    "trusted_types",
]
__version__ = "0.1.0"
