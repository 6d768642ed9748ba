"""How well a tokenizer uses its bits, per scale."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["MIN_SHARE", "BitUsage", "bit_usage"]

MIN_SHARE = 0.01
"""A bit counts as used if its rarer value has at least this share."""


class BitUsage(NamedTuple):
    """Statistics of one scale."""

    usage: float  # share of the bits that are used
    entropy: float  # mean entropy of a bit, in bits: 1 if balanced, 0 if constant
    distinct: float  # distinct codes seen / codes that could have been seen, at most


def bit_usage(bits_NDHW: np.ndarray) -> BitUsage:
    """Usage of the bits (bool) of one scale over many images."""
    if bits_NDHW.ndim != 4 or bits_NDHW.dtype != np.bool_:
        raise ValueError(f"expected bits as bool (N, D, H, W), got {bits_NDHW.dtype} {bits_NDHW.shape}")
    num_bits = bits_NDHW.shape[1]
    codes = np.moveaxis(bits_NDHW, 1, -1).reshape(-1, num_bits)
    share = codes.mean(axis=0)
    entropy = -_x_log2_x(share) - _x_log2_x(1 - share)
    distinct = len(np.unique(np.packbits(codes, axis=1), axis=0))
    possible = min(len(codes), 2.0**num_bits)
    used = np.minimum(share, 1 - share) >= MIN_SHARE
    return BitUsage(float(used.mean()), float(entropy.mean()), distinct / possible)


def _x_log2_x(x: np.ndarray) -> np.ndarray:
    return x * np.log2(np.maximum(x, np.finfo(np.float64).tiny))
