"""What a pipeline returns, and what it reports on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

__all__ = ["PipelineOutput", "ScaleEnd"]


class PipelineOutput(NamedTuple):
    """Generated images, in the order of the prompts (all images of a prompt together)."""

    images: Any  # list of PIL images; or "pt": float (B, 3, H, W) in [0, 1]; or [] for "bits"
    bits: tuple[Tensor, ...]  # per scale: bool (B, D, h_k, w_k) in latent cells
    seeds: list[int]  # of every image


class ScaleEnd(NamedTuple):
    """What a callback is given after every scale of every batch."""

    scale: int  # from 0
    images: range  # numbers of the images that are being drawn
    bits_BDHW: Tensor  # of this scale
    features_BDHW: Tensor  # sum of codes so far; ``pipeline.decode`` makes images of them
