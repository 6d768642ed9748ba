"""Shared memory in which workers hand over pixels, used again and again.

PyTorch maps new shared memory for every batch. Its pages are then faulted in one by one, by the worker and by
the main process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["InSlot", "PixelSlots"]


class InSlot(NamedTuple):
    """Where a batch's pixels are."""

    slot: int
    shape: tuple[int, int, int, int]  # (B, H, W, 3)


class PixelSlots:
    """Places for the pixels of batches, taken in turns.

    Args:
        num_slots: more than batches can be under way between their request and the end of their use.
        num_bytes: of the largest batch.
    """

    def __init__(self, num_slots: int, num_bytes: int) -> None:
        self._bytes_SX = torch.empty(num_slots, num_bytes, dtype=torch.uint8).share_memory_()

    def write(self, number: int, images: Sequence[np.ndarray]) -> InSlot | None:
        """Stack uint8 images (H, W, 3) into the place of batch `number`; None if it is too small for them."""
        slot, shape = number % len(self._bytes_SX), (len(images), *images[0].shape)
        if len(images) * images[0].size > self._bytes_SX.shape[1]:
            return None
        place = InSlot(slot, shape)
        np.stack(images, out=self._pixels(place).numpy())
        return place

    def read(self, place: InSlot) -> Tensor:
        """The pixels (B, 3, H, W), uint8, as they lie there: they are another batch's before long."""
        return self._pixels(place).permute(0, 3, 1, 2)

    def _pixels(self, place: InSlot) -> Tensor:
        return self._bytes_SX[place.slot, : int(np.prod(place.shape))].view(place.shape)
