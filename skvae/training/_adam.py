"""Adam on flat buffers: clipping, skipping and the update without a look at the numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae._vjp import FlatParameters

# Added to the root of the second moment. At the PCA start some gradients are zero but for rounding;
# Adam's customary 1e-8 would blow that up to steps.
_EPSILON = 1e-6

# A gradient longer than this many times its running mean is shortened to it.
_CLIP = 5.0


class Adam:
    """Adam (Kingma and Ba 2015), one fused call for all parameters.

    The gradient's norm is clipped at 5 times its own running mean, so the threshold follows the
    scale of the loss; a step whose gradient is not finite changes nothing and is counted. All of
    it happens in 0-d tensors, with no number read back.

    Parameters
    ----------
    flat : FlatParameters
        What is trained.

    Attributes
    ----------
    learning_rate : Tensor of shape ()
        Step length of the next update.
    n_skipped : Tensor of shape ()
        Number of steps skipped so far.
    """

    def __init__(self, flat: FlatParameters) -> None:
        self.flat = flat
        self.first, self.second = torch.zeros_like(flat.values), torch.zeros_like(flat.values)
        self.learning_rate = flat.values.new_zeros((), dtype=torch.float32)
        self.count = flat.values.new_zeros((), dtype=torch.float32)
        self.n_skipped = flat.values.new_zeros((), dtype=torch.float32)
        self.typical_norm = flat.values.new_zeros((), dtype=torch.float32)

    @property
    def state(self) -> dict[str, Tensor]:
        """What a later call needs to go on from here."""
        return {
            "first": self.first,
            "second": self.second,
            "count": self.count,
            "typical_norm": self.typical_norm,
        }

    def reset(self) -> None:
        """Forget all past gradients."""
        for tensor in self.state.values():
            tensor.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters with the gradient in the flat buffer."""
        norm = torch.linalg.vector_norm(self.flat.grads).float()
        found_inf = torch.isfinite(norm).logical_not_().float()
        self.n_skipped.add_(found_inf)
        # The running mean takes in the clipped norm, so that one outlier does not raise it; at the
        # first step it is the norm itself.
        typical = torch.where(self.typical_norm > 0.0, self.typical_norm, norm)
        clipped = torch.minimum(norm, typical * _CLIP)
        self.typical_norm.copy_(
            torch.where(found_inf > 0.0, self.typical_norm, typical.lerp(clipped, 0.02))
        )
        torch._fused_adam_(
            [self.flat.values],
            [self.flat.grads],
            [self.first],
            [self.second],
            [],
            [self.count.add_(1.0 - found_inf)],
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
            grad_scale=(norm / clipped.clamp_min(torch.finfo(torch.float32).tiny)).clamp_min(1.0),
            found_inf=found_inf,
        )
