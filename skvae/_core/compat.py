"""Every private name of torch that is used here, under a public one."""

import torch

__all__ = ["fused_adam"]

#: Adam's step on lists of tensors in one call, as ``torch.optim.Adam(fused=True)`` makes it.
fused_adam = torch._fused_adam_
