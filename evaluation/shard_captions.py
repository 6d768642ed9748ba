"""Captions of a data set's tar shards, alone or with their images."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from evaluation.image_folders import decode_image
from evaluation.shard_images import IMAGE_SUFFIXES

__all__ = ["read_captioned_images", "read_shard_captions"]


def read_shard_captions(data: str | Path, split: str) -> Iterator[tuple[str, str]]:
    """Keys and captions of a split in the shards' order."""
    for shard in _shards(Path(data) / split):
        for key, _, content, _ in _members(shard, (".txt",)):
            yield key, _text(content)


def read_captioned_images(data: str | Path, split: str) -> Iterator[tuple[str, np.ndarray, str]]:
    """Keys, images (RGB uint8 (H, W, 3)) and captions of all samples of a split that have both."""
    for shard in _shards(Path(data) / split):
        captions: dict[str, str] = {}  # of this shard, as others may use a key for another sample
        images: dict[str, tuple[bytes, str]] = {}
        for key, suffix, content, name in _members(shard, (".txt", *IMAGE_SUFFIXES)):
            if suffix == ".txt":
                captions[key] = _text(content)
            else:
                images[key] = (content, name)
            if key in images and captions.get(key):
                image, image_name = images.pop(key)
                yield key, decode_image(io.BytesIO(image), image_name), captions.pop(key)


def _shards(folder: Path) -> list[Path]:
    if not (shards := sorted(folder.glob("*.tar"))):
        raise ValueError(f"{folder} holds no shards; make the data set first (`make data`)")
    return shards


def _members(shard: Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str, bytes, str]]:
    """Key, suffix, content, and a name for errors, of files with these suffixes."""
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                name = PurePath(member.name)
                if name.suffix in suffixes and (file := tar.extractfile(member)):
                    yield name.stem, name.suffix, file.read(), f"{name} in {shard}"
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is no whole tar file ({error}); make the data set again") from error


def _text(content: bytes) -> str:
    return content.decode("utf-8", errors="replace").strip()
