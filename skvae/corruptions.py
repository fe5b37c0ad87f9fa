"""Corruptions of the encoder's input, for the denoising autoencoder."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from skvae._core.checks import check_number, shown
from skvae._sklearn.compat import BaseEstimator

__all__ = ["Corruption", "GaussianNoise", "Masking"]


class Corruption(BaseEstimator, ABC):
    """Base of the corruptions; a user's own overrides ``corrupt``.

    A step's inputs are corrupted anew each time; the target stays as it is, and so do held-out
    rows and rows at inference.
    """

    def check(self) -> None:
        """Raise ValueError if a parameter is outside its domain."""

    @abstractmethod
    def corrupt(
        self, inputs: Tensor, mean: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Give corrupted inputs, leaving ``inputs`` as they are.

        ``inputs`` of shape (rows, n_features) and the features' ``mean`` are in working units; one
        working unit is ``scale`` units of X. ``generator`` is on the CPU.
        """


class GaussianNoise(Corruption):
    """Normal noise added to every cell [1]_.

    Parameters
    ----------
    std : float, default=0.3
        Standard deviation, in the units of X. One value suits all features only if they share a
        scale, as standardised features and pixels do.

    References
    ----------
    .. [1] Vincent, Larochelle, Lajoie, Bengio and Manzagol (2010), "Stacked denoising
       autoencoders", JMLR 11, section 3.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import Autoencoder
    >>> from skvae.corruptions import GaussianNoise
    >>> X, _ = load_iris(return_X_y=True)
    >>> Autoencoder(2, corruption=GaussianNoise(0.1), random_state=0).fit_transform(X).shape
    (150, 2)
    """

    def __init__(self, std: float = 0.3) -> None:
        self.std = std

    def check(self) -> None:
        """Raise ValueError for a negative standard deviation."""
        check_number(self, "std")

    def corrupt(
        self, inputs: Tensor, mean: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Add the noise."""
        noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype)
        return inputs + noise.to(inputs.device) * (self.std / scale)


class Masking(Corruption):
    """A share of the cells, drawn anew for each row, set to their features' means [1]_.

    For centred features the mean is zero, as in Vincent et al.

    Parameters
    ----------
    share : float, default=0.25
        Probability that a cell is masked, in [0, 1).

    References
    ----------
    .. [1] Vincent, Larochelle, Lajoie, Bengio and Manzagol (2010), "Stacked denoising
       autoencoders", JMLR 11, section 3.3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skvae import Autoencoder
    >>> from skvae.corruptions import Masking
    >>> X, _ = load_iris(return_X_y=True)
    >>> Autoencoder(2, corruption=Masking(0.1), random_state=0).fit_transform(X).shape
    (150, 2)
    """

    def __init__(self, share: float = 0.25) -> None:
        self.share = share

    def check(self) -> None:
        """Raise ValueError for a share outside [0, 1)."""
        check_number(self, "share")
        if self.share >= 1:
            raise ValueError(
                f"The 'share' parameter of Masking must be below 1, or nothing is left to encode. "
                f"Got {shown(self.share)}."
            )

    def corrupt(
        self, inputs: Tensor, mean: Tensor, scale: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Put the means in place of the masked cells."""
        chance = torch.rand(inputs.shape, generator=generator, dtype=torch.float32)
        masked = chance < self.share
        return torch.where(masked.to(inputs.device), mean, inputs)
