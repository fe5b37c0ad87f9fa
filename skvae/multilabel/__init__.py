"""The multi-label classifier."""

from skvae.multilabel._estimator import CanonicalCorrelatedAutoencoder

__all__ = ["CanonicalCorrelatedAutoencoder"]
