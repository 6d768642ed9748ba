"""Bits, codes, ids and token layouts: the only file that converts between them.

A bit is a bool, a code is +-1/sqrt(D) (so that a D-dimensional code has unit norm), an id is an int64 whose
most significant bit is the first bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = [
    "MAX_ID_BITS",
    "bits_to_codes",
    "codes_to_bits",
    "pack_ids",
    "patchify_bits",
    "unpack_ids",
    "unpatchify_bits",
]

MAX_ID_BITS = 62


def bits_to_codes(bits: Tensor, dim: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Map True to +1/sqrt(D) and False to -1/sqrt(D), where D is the size of dimension `dim`."""
    magnitude = torch.tensor(bits.shape[dim] ** -0.5, dtype=dtype, device=bits.device)
    return torch.where(bits, magnitude, -magnitude)


def codes_to_bits(codes: Tensor) -> Tensor:
    """Signs as bools; zero counts as negative, as in the official quantizer."""
    return codes > 0


def pack_ids(bits_D: Tensor) -> Tensor:
    """Read the last dimension, (..., D) bool, as int64 ids, most significant bit first.

    Paper Eq. 5 sums the same powers of two from the other end; the official code does it as here.
    """
    _check_id_bits(bits_D.shape[-1])
    return (bits_D.long() << _shifts(bits_D.shape[-1], bits_D.device)).sum(dim=-1)


def unpack_ids(ids: Tensor, num_bits: int) -> Tensor:
    """Write int64 ids as (..., num_bits) bools, most significant bit first."""
    _check_id_bits(num_bits)
    return (ids.unsqueeze(-1) >> _shifts(num_bits, ids.device)) & 1 == 1


def patchify_bits(x_BDHW: Tensor, patch: int) -> Tensor:
    """Lay latent cells, bits or features, out as tokens: (B, D, h*p, w*p) -> (B, h*w, D*p*p), row by row.

    The token's channel is ``d * p * p + dy * p + dx`` (the layout of pixel-unshuffle).
    """
    B, D, H, W = x_BDHW.shape
    if H % patch or W % patch:
        raise ValueError(
            f"a {H}x{W} map can't be cut into {patch}x{patch} patches; use a schedule's .latent({patch})"
        )
    x = x_BDHW.reshape(B, D, H // patch, patch, W // patch, patch)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(B, (H // patch) * (W // patch), D * patch * patch)


def unpatchify_bits(x_BLD: Tensor, patch: int, size: tuple[int, int]) -> Tensor:
    """Undo :func:`patchify_bits`; `size` = (h, w) is the token grid: (B, h*w, D*p*p) -> (B, D, h*p, w*p)."""
    (B, _, D), (h, w) = x_BLD.shape, size
    x = x_BLD.reshape(B, h, w, D // patch**2, patch, patch)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(B, D // patch**2, h * patch, w * patch)


def _shifts(num_bits: int, device: torch.device) -> Tensor:
    return torch.arange(num_bits - 1, -1, -1, device=device)


def _check_id_bits(num_bits: int) -> None:
    if num_bits > MAX_ID_BITS:
        raise ValueError(
            f"an id holds at most {MAX_ID_BITS} bits, got {num_bits}; work on the bits themselves"
        )
