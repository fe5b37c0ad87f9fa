"""What a start is: the values of every parameter before the first step."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from skvae._sklearn.compat import BaseEstimator
from skvae.likelihoods import Response
from skvae.model import Architecture, Model
from skvae.starts._prepared import Prepared
from skvae.tables import Rows


class Start(BaseEstimator, ABC):
    """Base of the starts; one of the user's own overrides ``write``."""

    #: Whether the networks have linear paths beside their hidden layers.
    linear_path = True

    #: Whether the started model is probabilistic PCA, which is left only for a proven gain.
    is_principal = False

    def check(self, architecture: Architecture) -> None:
        """Raise ValueError if the architecture cannot be started this way."""

    def rivals(self, prepared: Prepared, architecture: Architecture, n_rows: int) -> list[Start]:
        """Starts to race against each other on held-out rows; empty if there is no race."""
        return []

    @abstractmethod
    def write(self, model: Model, prepared: Prepared, rows: Rows, seed: int) -> None:
        """Set every parameter of the model.

        ``rows`` are the training rows, and ``seed`` is that of all draws. A start that has a linear
        model fills their gaps by it: ``rows.fill(prepared.gaps(...))``.
        """


def start_components(
    model: Model, prepared: Prepared, rows: Rows, generator: torch.Generator, silent: bool
) -> None:
    """Draw the networks, and start what posterior and prior train.

    Parameters
    ----------
    model : Model
        The networks.
    prepared : Prepared
        Its response gives the decoder's bias.
    rows : Rows
        Training rows, for a prior that starts from some of them.
    generator : torch.Generator
        Of the draws.
    silent : bool
        Whether the nonlinear paths give zero.
    """
    encoder, decoder, k = model.encoder, model.decoder, model.n_components
    for network in (encoder, decoder):
        network.start(generator, zero_output=silent)
    model.posterior.start(model.of_posterior.params, k, generator)
    model.prior.start(model.of_prior.params, k, lambda n: rows.draw(n, generator), generator)
    natural, extra = prepared.response.natural, prepared.response.extra
    with torch.no_grad():
        decoder.output_bias[: len(natural)] = torch.from_numpy(natural)
        if extra is not None:
            decoder.output_bias[len(natural) :] = torch.from_numpy(extra)


def start_noise(model: Model, noise_variance: np.ndarray, response: Response) -> None:
    """Give the likelihood its first noise, in shared parameters or in the decoder's bias."""
    extra_bias = model.decoder.output_bias[model.width.location :]
    with torch.no_grad():
        model.likelihood.start_noise(model.shared.params, extra_bias, noise_variance, response)
