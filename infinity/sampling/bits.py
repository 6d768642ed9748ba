"""From logits to the bits of one scale: guidance, drawing, and bits that the caller dictates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["apply_guidance", "force_bits"]


def apply_guidance(logits: Tensor, guidance: float, batch_size: int) -> Tensor:
    """Mix conditional and unconditional logits, stacked along the batch: ``g * cond + (1 - g) * uncond``."""
    if len(logits) == batch_size:
        return logits
    return torch.lerp(logits[batch_size:], logits[:batch_size], guidance)


def force_bits(
    bits_BDHW: Tensor, k: int, forced: Sequence[Tensor | None], masks: Sequence[Tensor | None]
) -> Tensor:
    """Replace drawn bits of scale k by given ones where the mask (B or 1, D or 1, h, w) is True or absent."""
    given = forced[k] if k < len(forced) else None
    if given is None:
        return bits_BDHW
    if given.shape != bits_BDHW.shape:
        raise ValueError(
            f"forced bits of scale {k + 1} must be {tuple(bits_BDHW.shape)}, got {tuple(given.shape)}"
        )
    mask = masks[k] if k < len(masks) else None
    given = given.to(bits_BDHW.device)
    return given if mask is None else torch.where(mask.to(bits_BDHW.device), given, bits_BDHW)
