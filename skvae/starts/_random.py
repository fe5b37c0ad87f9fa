"""The usual random start."""

from __future__ import annotations

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
        start_noise(model, 1.0)
