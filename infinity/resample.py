"""The one home of resizing between scales.

The tokenizer averages residuals *down* by area and interpolates codes *up* bilinearly; everything the
transformer reads is the running sum resized bilinearly in either direction (:func:`bilinear_resize`).
Self-correction and the sampler call the same functions, because a different filter would shift training and
inference inputs apart without any error.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.precision import full_precision

__all__ = ["area_down", "bilinear_resize", "bilinear_up"]


def area_down(x_BDHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Average over the (possibly overlapping) windows that make a map of `size` = (h, w)."""
    return _resize(x_BDHW, size, "area")


def bilinear_resize(x_BDHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate to `size` = (h, w), corners not aligned and without anti-aliasing, up or down."""
    return _resize(x_BDHW, size, "bilinear")


bilinear_up = bilinear_resize


def _resize(x_BDHW: Tensor, size: tuple[int, int], mode: Literal["area", "bilinear"]) -> Tensor:
    """PyTorch's ``interpolate``; on CPUs by its matrices, several times faster forward and backward."""
    height, width = x_BDHW.shape[-2:]
    if (height, width) == tuple(size):
        return x_BDHW
    if x_BDHW.device.type != "cpu":
        return F.interpolate(x_BDHW, size=tuple(size), mode=mode)
    rows = _matrix(height, size[0], mode).to(x_BDHW.dtype)
    columns = _matrix(width, size[1], mode).to(x_BDHW.dtype)
    with full_precision(x_BDHW.device):
        return rows @ (x_BDHW @ columns.T)


@lru_cache(maxsize=1024)
@torch.inference_mode(False)  # a cached tensor may be trained with later
def _matrix(num_inputs: int, num_outputs: int, mode: Literal["area", "bilinear"]) -> Tensor:
    """Weights (num_outputs, num_inputs) of resizing one axis; both filters are linear and separable."""
    one_axis = "linear" if mode == "bilinear" else mode
    identity = torch.eye(num_inputs, dtype=torch.float32, device="cpu")  # whatever the user's defaults are
    return F.interpolate(identity[None], size=num_outputs, mode=one_axis)[0].T.contiguous()
