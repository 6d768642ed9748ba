"""The only collective of the core: a mean over ranks that gradients pass through."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["all_reduce_mean"]


def all_reduce_mean(x: Tensor) -> Tensor:
    """Average `x` over all ranks; the identity outside a process group.

    The gradient is averaged too, so that a loss of the mean which every rank computes gives, after DDP's own
    averaging, the gradient of one process that holds the whole batch.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return x
    return _AllReduceMean.apply(x)


class _AllReduceMean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _mean_over_ranks(x)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        return _mean_over_ranks(grad_outputs[0])


def _mean_over_ranks(x: Tensor) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total / dist.get_world_size()
