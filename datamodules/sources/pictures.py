"""Pictures of packages, most with an alpha channel, as captioned samples on flat backgrounds."""

from __future__ import annotations

import hashlib
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from PIL import Image

from datamodules.decode import BrokenSampleError, image_size
from datamodules.packing import Progress
from datamodules.shards import Sample
from datamodules.sources.backgrounds import (
    BACKGROUNDS,
    background_order,
    canvas_size,
    composite,
    hidden_on,
)
from datamodules.sources.splits import seeded
from datamodules.sources.wording import on_background

__all__ = ["Picture", "PictureConfig", "PictureSource", "inspect_pictures"]

_FORMATS = ("PNG", "WEBP")
_MIN_SIDE = 64  # pixels that the longest side must have
_MAX_PIXELS = 2**22
_VISIBLE, _OPAQUE = 16, 250  # alpha from which a pixel counts as there, as hiding what is behind it


@dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """What to make of a package's pictures.

    Args:
        size: longest side of the images in pixels; smaller pictures are not enlarged.
        variants: images per picture with an alpha channel, each on another background and of another scale.
        val_fraction: share of concepts that are held out.
        seed: of backgrounds and scales.
    """

    size: int = 128
    variants: int = 2
    val_fraction: float = 0.1
    seed: int = 0
    max_size: ClassVar[int] = 1024

    def __post_init__(self) -> None:
        if not 16 <= self.size <= self.max_size:
            raise ValueError(f"size must be in [16, {self.max_size}], got {self.size}")
        if not 1 <= self.variants <= len(BACKGROUNDS):
            raise ValueError(f"variants must be in [1, {len(BACKGROUNDS)}], got {self.variants}")
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"val_fraction must be between 0 and 1, got {self.val_fraction}")


class Picture(NamedTuple):
    key: str
    path: Path
    caption: str  # of what is shown, without a background
    metadata: Mapping[str, Any]
    fills_image: bool = False  # if so, one image in the picture's own ratio; else `variants` on backgrounds


@dataclass(frozen=True)
class PictureSource:
    """The pictures of a split.

    Args:
        name: of the data set, for its draws.
        max_ratio: of the sides of a canvas; 1 makes squares.
        trimmed: cut the transparent rim off first.
    """

    name: str
    config: PictureConfig
    pictures: tuple[Picture, ...]
    max_ratio: float = 2.0
    trimmed: bool = True

    @cached_property
    def _images(self) -> list[tuple[int, int]]:
        """Numbers of picture and variant, by sample; a picture's follow each other."""
        counts = (1 if picture.fills_image else self.config.variants for picture in self.pictures)
        return [(number, variant) for number, count in enumerate(counts) for variant in range(count)]

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        number, variant = self._images[index]
        picture, config = self.pictures[number], self.config
        image, hidden = _read(picture.path, self.trimmed)
        if picture.fills_image:
            # the ratio of an image that has no rim is its own
            canvas = canvas_size(image.size, config.size, max(image.size) / min(image.size))
            white = Image.new("RGBA", image.size, "white")
            opaque = Image.alpha_composite(white, image).convert("RGB").resize(canvas)
            return _sample(picture.key, opaque, picture.caption, picture.metadata)
        order = background_order(hidden, config.variants, seeded(self.name, config.seed, picture.key))
        background = order[variant]
        rng = seeded(self.name, config.seed, picture.key, variant)
        canvas = canvas_size(image.size, config.size, self.max_ratio)
        return _sample(
            f"{picture.key}-{variant}",
            composite(image, canvas, background, rng),
            on_background(picture.caption, background),
            {**picture.metadata, "background": background},
        )


def _sample(key: str, image: Image.Image, caption: str, metadata: Mapping[str, Any]) -> Sample:
    png = io.BytesIO()
    image.save(png, "PNG")
    return Sample(key, png.getvalue(), "png", caption, image.width, image.height, dict(metadata))


@lru_cache(maxsize=1)  # a picture's variants follow each other
def _read(path: Path, trimmed: bool) -> tuple[Image.Image, dict[str, float]]:
    """The RGBA picture and, by background, the share of its pixels that can't be told from it."""
    picture = _open(path, trimmed)
    return picture, hidden_on(picture)


def _open(path: Path, trimmed: bool) -> Image.Image:
    try:
        with Image.open(path, formats=_FORMATS) as file:
            picture = file.convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BrokenSampleError(f"{path.name}: undecodable ({error})") from error
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha >= _VISIBLE)).getbbox()
    if box is None:
        raise BrokenSampleError(f"{path.name}: nothing in it can be seen")
    return picture.crop(box) if trimmed else picture


def inspect_pictures(paths: Sequence[Path], progress: Progress) -> tuple[dict[Path, bool], Counter[str]]:
    """Look at every picture once.

    Returns:
        by file that can be used, whether it is opaque all over; and how many can't be, by cause. Of files
        with the same pixels the first is used.
    """
    usable: dict[Path, bool] = {}
    dropped: Counter[str] = Counter()
    seen: set[bytes] = set()
    for path in paths:
        progress("look at pictures", 1, len(paths))
        try:
            with path.open("rb") as file:
                width, height = image_size(file)
            if max(width, height) < _MIN_SIDE:
                dropped[f"smaller than {_MIN_SIDE} pixels"] += 1
                continue
            if width * height > _MAX_PIXELS:
                dropped[f"more than {_MAX_PIXELS} pixels"] += 1
                continue
            picture = _open(path, trimmed=True)
        except BrokenSampleError:
            dropped["unreadable or empty"] += 1
            continue
        digest = hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).digest()
        if max(picture.size) < _MIN_SIDE:
            dropped[f"smaller than {_MIN_SIDE} pixels"] += 1
        elif digest in seen:
            dropped["same pixels as another"] += 1
        else:
            seen.add(digest)
            # some flags' last row of pixels is half transparent
            usable[path] = sum(picture.getchannel("A").histogram()[_OPAQUE:]) > 0.985 * math.prod(
                picture.size
            )
    return usable, dropped
