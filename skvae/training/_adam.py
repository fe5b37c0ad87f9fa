"""Adam on flat buffers: clipping, skipping and the update without a look at the numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from skvae._math import constant
from skvae._vjp import FlatParameters

# Added to the root of the second moment. At the PCA start some gradients are zero but for rounding;
# Adam's customary 1e-8 would blow that up to steps.
_EPSILON = 1e-6

_TINY = torch.finfo(torch.float32).tiny

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
        for tensor in (*self.state.values(), self.n_skipped):
            tensor.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters with the gradient in the flat buffer."""
        zero, tiny = (constant(value, torch.float32) for value in (0.0, _TINY))
        norm = torch.linalg.vector_norm(self.flat.grads).float()
        found_inf = norm.sub(norm).ne_(zero)  # inf - inf is NaN, which differs from zero
        self.n_skipped.add_(found_inf)
        # The running mean takes in the clipped norm, so that one outlier does not raise it; at the
        # first step it is the norm itself.
        typical = torch.where(self.typical_norm > zero, self.typical_norm, norm)
        clipped = torch.minimum(norm, typical * constant(_CLIP, torch.float32))
        following = typical.lerp(clipped, 0.02)
        torch.where(found_inf > zero, self.typical_norm, following, out=self.typical_norm)
        self.count.add_(constant(1.0, torch.float32)).sub_(found_inf)
        torch._fused_adam_(
            [self.flat.values],
            [self.flat.grads],
            [self.first],
            [self.second],
            [],
            [self.count],
            lr=self.learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=0.0,
            eps=_EPSILON,
            amsgrad=False,
            maximize=False,
            # 1 where nothing is clipped; also where both are zero, for tiny is then in both.
            grad_scale=norm.add_(tiny).div_(clipped.add_(tiny)),
            found_inf=found_inf,
        )
