"""Photographs cut into crops of several aspect ratios, by a rule without chance.

Level k of a photograph and a ratio: the largest centred box of that ratio, cut into 2^k x 2^k equal tiles,
each resized to the crop's size. A level is taken while its tiles have at least as many pixels as the crop:
nothing is enlarged. Tiles with little contrast (plain sky, blur) are left out.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from datamodules.decode import BrokenSampleError, decode_rgb
from datamodules.shards import Sample

__all__ = ["Crop", "CropSource", "Photograph", "crop_size", "crops_of", "with_contrast"]

MAX_PIXELS = 2**26
_SEEN = 1024  # longest side in pixels at which contrast is measured


class Photograph(NamedTuple):
    key: str
    path: Path
    width: int
    height: int
    shown: str
    metadata: Mapping[str, Any]


class Crop(NamedTuple):
    name: str  # unique in its photograph
    level: int
    box: tuple[float, float, float, float]  # left, top, right, bottom in the photograph
    size: tuple[int, int]  # width, height after resizing


def crop_size(size: int, ratio: float) -> tuple[int, int]:
    """Width and height of about size^2 pixels in `ratio` = width / height, both multiples of 16."""
    width, height = (max(1, round(size * ratio**sign / 16)) * 16 for sign in (0.5, -0.5))
    return width, height


def crops_of(width: int, height: int, size: int, ratios: tuple[float, ...], levels: int) -> list[Crop]:
    """All crops of a photograph of width x height pixels, in a fixed order."""
    crops = []
    for target in dict.fromkeys(crop_size(size, ratio) for ratio in ratios):
        scale = min(width / target[0], height / target[1])
        for level in range(levels):
            num = 2**level
            if scale < num:
                break
            tile_w, tile_h = (side * scale / num for side in target)
            left, top = (width - tile_w * num) / 2, (height - tile_h * num) / 2
            for place in range(num * num):
                x, y = left + place % num * tile_w, top + place // num * tile_h
                name = f"{target[0]}x{target[1]}-{level}-{place}"
                crops.append(
                    Crop(name, level, (x, y, min(x + tile_w, width), min(y + tile_h, height)), target)
                )
    return crops


def with_contrast(photograph: Photograph, crops: Iterable[Crop], min_contrast: float) -> list[Crop]:
    """Those whose greys, seen small, have a standard deviation of at least `min_contrast` (of 255)."""
    try:
        picture = _read(photograph.path).convert("L")
    except BrokenSampleError:
        return list(crops)  # which are left out, and named, when they are packed
    picture.thumbnail((_SEEN, _SEEN))
    greys, scale = np.asarray(picture, np.float32), picture.width / photograph.width
    kept = []
    for crop in crops:
        left, top, right, bottom = (round(edge * scale) for edge in crop.box)
        if greys[top : max(bottom, top + 1), left : max(right, left + 1)].std() >= min_contrast:
            kept.append(crop)
    return kept


@dataclass(frozen=True)
class CropSource:
    """Crops of photographs; those of one photograph follow each other."""

    crops: tuple[tuple[Photograph, Crop], ...]

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> Sample:
        photograph, crop = self.crops[index]
        try:
            picture = _read(photograph.path)
        except BrokenSampleError as error:
            raise BrokenSampleError(f"{photograph.path.name}: {error}") from error
        image = picture.resize(crop.size, Image.Resampling.LANCZOS, box=crop.box)
        png = io.BytesIO()
        image.save(png, "PNG")
        caption = f"{'a detail of ' if crop.level else ''}a photograph of {photograph.shown}"
        metadata = {**photograph.metadata, "box": crop.box}
        return Sample(f"{photograph.key}-{crop.name}", png.getvalue(), "png", caption, *crop.size, metadata)


@lru_cache(maxsize=1)  # a photograph's crops follow each other
def _read(path: Path) -> Image.Image:
    return decode_rgb(path.read_bytes(), MAX_PIXELS)
