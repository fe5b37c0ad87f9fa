"""What this package's network factories are: objects with parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn

from skvae._sklearn.compat import BaseEstimator


class NetworkFactory(BaseEstimator, ABC):
    """Base of the factories to give as ``encoder`` and ``decoder``: picklable, with ``get_params``.

    A factory that builds one network to read rows and another to give them states
    ``build_encoder(n_in, n_out, n_features)`` and ``build_decoder`` of the same signature, of which
    the one that is meant is called in place of the factory itself.
    """

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""

    @abstractmethod
    def __call__(self, n_in: int, n_out: int) -> nn.Module:
        """Build a module that maps (rows, n_in) to (rows, n_out)."""
