"""How well a tokenizer uses its bits, per scale, counted over images that come in batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

__all__ = ["MAX_CODES", "MIN_SHARE", "BitCounts", "BitUsage"]

MIN_SHARE = 0.01
"""A bit counts as used if its rarer value has at least this share."""

MAX_CODES = 2**20
"""Distinct codes are looked for among the first so many codes of a scale, so that memory stops growing."""


class BitUsage(NamedTuple):
    """Statistics of one scale."""

    usage: float  # share of the bits that are used
    entropy: float  # mean entropy of a bit, in bits: 1 if balanced, 0 if constant
    distinct: float  # distinct codes seen / codes that could have been seen, at most


@dataclass(frozen=True)
class BitCounts:
    """What was seen of the bits of one scale; add two to get the counts of both (batches, ranks)."""

    grid: tuple[int, int]  # height and width of the scale
    num_codes: int
    ones_D: np.ndarray  # int64: how often every bit was set
    packed: np.ndarray  # uint8 (at most MAX_CODES, ceil(D / 8)): the first codes

    @classmethod
    def of(cls, bits_NDHW: np.ndarray) -> BitCounts:
        """Count the bits (bool) of some images."""
        if bits_NDHW.ndim != 4 or bits_NDHW.dtype != np.bool_:
            raise ValueError(f"expected bits as bool (N, D, H, W), got {bits_NDHW.dtype} {bits_NDHW.shape}")
        _, num_bits, height, width = bits_NDHW.shape
        codes = np.moveaxis(bits_NDHW, 1, -1).reshape(-1, num_bits)
        return cls((height, width), len(codes), codes.sum(axis=0), np.packbits(codes[:MAX_CODES], axis=1))

    def __add__(self, other: BitCounts) -> BitCounts:
        if self.grid != other.grid or self.num_bits != other.num_bits:
            raise ValueError(
                f"bits of one scale must have one shape, got {self.num_bits} of {self.grid} "
                f"and {other.num_bits} of {other.grid}"
            )
        packed = np.concatenate([self.packed, other.packed[: MAX_CODES - len(self.packed)]])
        return BitCounts(self.grid, self.num_codes + other.num_codes, self.ones_D + other.ones_D, packed)

    @property
    def num_bits(self) -> int:
        return len(self.ones_D)

    @property
    def num_images(self) -> int:
        return self.num_codes // (self.grid[0] * self.grid[1])

    @cached_property
    def usage(self) -> BitUsage:
        share = self.ones_D / self.num_codes
        entropy = -_x_log2_x(share) - _x_log2_x(1 - share)
        used = np.minimum(share, 1 - share) >= MIN_SHARE
        distinct = len(np.unique(self.packed, axis=0))
        possible = min(len(self.packed), 2.0**self.num_bits)
        return BitUsage(float(used.mean()), float(entropy.mean()), distinct / possible)


def _x_log2_x(x: np.ndarray) -> np.ndarray:
    return x * np.log2(np.maximum(x, np.finfo(np.float64).tiny))
