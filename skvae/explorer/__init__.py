"""A page in which one moves through the latent space of a fitted estimator."""

from skvae.explorer._explorer import LatentExplorer

__all__ = ["LatentExplorer"]
