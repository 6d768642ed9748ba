"""Data sets of pictures drawn by a test."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.index import ShardIndex, scan_shard, write_index
from tests.datamodules.conftest import write_tar

Drawn = tuple[str, Image.Image | bytes, str]
"""Key, picture (or bytes that are none) and caption."""


def texture(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    """A smooth colored pattern: like a photograph, unlike that of any other seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "png", **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def write_split(directory: Path, *shards: Iterable[Drawn]) -> ShardIndex:
    """Write shards of drawn samples and their index."""
    directory.mkdir(parents=True)
    for number, samples in enumerate(shards):
        files: dict[str, bytes] = {}
        for key, picture, caption in samples:
            files[f"{key}.png"] = picture if isinstance(picture, bytes) else encoded(picture)
            files[f"{key}.txt"] = caption.encode()
        write_tar(directory / f"{number:05d}.tar", files)
    write_index(directory, [scan_shard(path) for path in sorted(directory.glob("*.tar"))])
    return ShardIndex.load(directory)


def damaged(image: Image.Image) -> bytes:
    """A PNG with a whole header but broken pixels."""
    data = bytearray(encoded(image))
    data[60:-20] = bytes(len(data) - 80)
    return bytes(data)
