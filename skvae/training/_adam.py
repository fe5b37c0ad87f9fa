"""Adam on flat buffers: clipping, skipping and the update, without reading numbers back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skvae._core.compat import fused_adam
from skvae._core.flat import FlatParameters, shared_arrays

# Added to the root of the second moment. At the PCA start some gradients are zero up to rounding,
# which Adam's customary 1e-8 would blow up into steps.
_EPSILON = 1e-6

_TINY = torch.finfo(torch.float32).tiny

# A gradient longer than this many times the running mean of its norm is shortened to that length.
_CLIP = 5.0

# Weight of a step's norm in the running mean.
_MIX = 0.02

_BETA1, _BETA2 = 0.9, 0.999


class Adam:
    """Adam (Kingma and Ba 2015) for all parameters at once.

    The gradient's norm is clipped at 5 times its own running mean, so the threshold follows the
    scale of the loss; a step whose gradient has no finite norm in its own type changes nothing and
    is counted. On a device all of it happens in 0-d tensors, with no number read back.

    Parameters
    ----------
    flat : FlatParameters
        What is trained.

    Attributes
    ----------
    n_skipped : Tensor of shape ()
        Number of steps skipped so far.
    """

    def __init__(self, flat: FlatParameters) -> None:
        self.flat = flat
        self.first, self.second = torch.zeros_like(flat.values), torch.zeros_like(flat.values)
        self.count = flat.values.new_zeros((), dtype=torch.float32)
        self.n_skipped = flat.values.new_zeros((), dtype=torch.float32)
        self.typical_norm = flat.values.new_zeros((), dtype=torch.float32)
        # The same memory, for NumPy.
        self.arrays = shared_arrays([flat.grads, self.count, self.typical_norm])

    @property
    def shared_state(self) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[float, ...]]:
        """Arrays that a step changes, in the same memory, and its constants, for ``kernels``."""
        flat = [self.flat.values, self.flat.grads, self.first, self.second]
        own = [self.count, self.typical_norm, self.n_skipped]
        constants = _BETA1, _BETA2, _EPSILON, _CLIP, _MIX
        return tuple(shared_arrays(flat)), tuple(shared_arrays(own)), constants

    @property
    def state(self) -> dict[str, Tensor]:
        """What a later call needs to go on from here."""
        return {
            "first": self.first,
            "second": self.second,
            "count": self.count,
            "typical_norm": self.typical_norm,
        }

    def step(self, learning_rate: Tensor | float) -> None:
        """Update the parameters with the gradient in the flat buffer."""
        if self.flat.grads.device.type == "cpu":
            grads = self.arrays[0]
            with np.errstate(over="ignore", invalid="ignore"):
                skip, scale = self._judge_number(math.sqrt(grads.dot(grads)))
            if skip is not None:
                return
        else:
            skip, scale = self._judge_tensor(torch.linalg.vector_norm(self.flat.grads).float())
        fused_adam(
            [self.flat.values],
            [self.flat.grads],
            [self.first],
            [self.second],
            [],
            [self.count],
            lr=learning_rate,
            beta1=_BETA1,
            beta2=_BETA2,
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=scale,
            found_inf=skip,
        )

    def _judge_number(self, norm: float) -> tuple[Tensor | None, Tensor | None]:
        """Whether to skip this step and what to divide its gradient by; None for no and for 1.

        The running mean takes in the clipped norm, so that one outlier does not raise it; at the
        first step it is the norm itself.
        """
        if not math.isfinite(norm):
            self.n_skipped += 1.0
            return torch.ones((), dtype=torch.float32), None
        _, count, typical_norm = self.arrays
        typical = float(typical_norm) or norm
        clipped = min(norm, typical * _CLIP)
        typical_norm[()] = typical + _MIX * (clipped - typical)
        count[()] += 1.0
        if norm <= clipped:
            return None, None
        return None, torch.tensor(norm / clipped, dtype=torch.float32)

    def _judge_tensor(self, norm: Tensor) -> tuple[Tensor, Tensor]:
        """The same on a device, with no number read back."""
        skip = norm.isfinite().logical_not().float()
        self.n_skipped.add_(skip)
        typical = torch.where(self.typical_norm > 0.0, self.typical_norm, norm)
        clipped = torch.minimum(norm, typical * _CLIP)
        following = typical.lerp(clipped, _MIX)
        self.typical_norm.copy_(torch.where(skip > 0.0, self.typical_norm, following))
        self.count.add_(1.0 - skip)
        return skip, (norm / clipped.clamp_min(_TINY)).clamp_min(1.0)
