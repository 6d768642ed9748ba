"""The one home of resizing between scales.

The tokenizer averages residuals *down* by area and interpolates codes *up* bilinearly; everything the
transformer reads is the running sum resized bilinearly in either direction (:func:`bilinear_resize`).
Self-correction and the sampler call the same functions, because a different filter would shift training and
inference inputs apart without any error.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["area_down", "bilinear_resize", "bilinear_up"]


def area_down(x_BDHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Average over the (possibly overlapping) windows that make a map of `size` = (h, w)."""
    return x_BDHW if _has_size(x_BDHW, size) else F.interpolate(x_BDHW, size=tuple(size), mode="area")


def bilinear_resize(x_BDHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate to `size` = (h, w), corners not aligned and without anti-aliasing, up or down."""
    if _has_size(x_BDHW, size):
        return x_BDHW
    return F.interpolate(x_BDHW, size=tuple(size), mode="bilinear", align_corners=False)


bilinear_up = bilinear_resize


def _has_size(x_BDHW: Tensor, size: tuple[int, int]) -> bool:
    return tuple(x_BDHW.shape[-2:]) == tuple(size)
