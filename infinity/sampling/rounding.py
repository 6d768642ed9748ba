"""Half precision in sampling: weights are rounded once, not at every call."""

from __future__ import annotations

import torch

from infinity.transformer.model import Infinity

__all__ = ["round_blocks"]


@torch.no_grad()
def round_blocks(model: Infinity, dtype: torch.dtype) -> None:
    """Store the linear layers of all blocks in `dtype`, in place.

    They then compute what autocast computes, without casting every weight at every scale. What
    autocast leaves in float32 stays so: the residual stream, modulation, text conditioning and the head.
    """
    for block in model.layers:
        for part in (block.self_attn, block.cross_attn, block.ffn):
            for name, parameter in part.named_parameters():
                if name != "log_temperature":
                    parameter.data = parameter.data.to(dtype)
