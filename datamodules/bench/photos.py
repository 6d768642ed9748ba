"""Drawn photographs: JPEG files whose detail falls off with its frequency as a camera's does."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from datamodules.packing import DatasetParts
from datamodules.shards import Sample

__all__ = ["Photos", "photo_dataset"]

_SIDES = (256, 513)
_CAPTION = "a photograph of nothing, number {}, with as many words below as a caption of the web would have"


@dataclass(frozen=True)
class Photos:
    """Noise whose amplitude falls with its frequency.

    Args:
        sides: least height and width in pixels, and one more than the most.
    """

    num: int
    sides: tuple[int, int] = _SIDES

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        width, height = (int(side) for side in rng.integers(*self.sides, 2))
        pixels = np.full((height, width, 3), 128.0, np.float32)
        cells = 2
        while cells < min(width, height):
            coarse = rng.integers(0, 256, (cells, cells, 3), np.uint8)
            octave = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            pixels += (np.asarray(octave, np.float32) - 128) / np.sqrt(cells)
            cells *= 2
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90)
        key = f"photo-{index:08}"
        return Sample(key, buffer.getvalue(), "jpg", _CAPTION.format(index), width, height, {})


def photo_dataset(num: int, sides: tuple[int, int] = _SIDES) -> DatasetParts:
    """A data set of one split."""
    return DatasetParts({"name": "photos", "num": num, "sides": sides}, {"train": Photos(num, sides)}, {})
