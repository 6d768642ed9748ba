"""The tokenizer on many images: a few at once, so that memory doesn't grow with their number."""

from __future__ import annotations

import torch
from torch import Tensor

from infinity.vae.model import VAE

__all__ = ["decode_in_parts", "encode_in_parts", "images_at_once"]

_PIXELS = 2**20  # at once: one image of 1024 x 1024, or 16 of 256 x 256


def images_at_once(height: int, width: int) -> int:
    """How many images of a size make a part."""
    return max(1, _PIXELS // (height * width))


def encode_in_parts(vae: VAE, images_B3HW: Tensor) -> Tensor:
    """``vae.encode``, image by image if they are large."""
    return torch.cat([vae.encode(part) for part in _parts(images_B3HW, 1)])


def decode_in_parts(vae: VAE, features_BDHW: Tensor) -> Tensor:
    """``vae.decode``, image by image if they are large."""
    return torch.cat([vae.decode(part) for part in _parts(features_BDHW, vae.config.stride)])


def _parts(maps: Tensor, stride: int) -> tuple[Tensor, ...]:
    return maps.split(images_at_once(maps.shape[-2] * stride, maps.shape[-1] * stride))
