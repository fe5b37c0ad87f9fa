"""The usual random start."""

from __future__ import annotations

import numpy as np
import torch

from skvae.model import Model
from skvae.starts._base import Start, start_components, start_noise
from skvae.starts._prepared import Prepared
from skvae.tables import Rows


class Random(Start):
    """Glorot draws, no linear paths beside hidden layers, noise of the data's own variance."""

    linear_path = False

    def write(self, model: Model, prepared: Prepared, rows: Rows, seed: int) -> None:
        """Draw the networks."""
        generator = torch.Generator().manual_seed(seed)
        start_components(model, prepared, rows, generator, silent=False)
        response = prepared.response
        n_noises = 1 if response.has_noise("shared") else len(response.spread)
        start_noise(model, np.ones(n_noises), response)
        if prepared.factors is not None:
            linear = prepared.principal()
            rows.fill(prepared.gaps(linear, prepared.n_components, of_latents=False))
