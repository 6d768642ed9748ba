"""Images of a data set's tar shards."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Container, Iterator
from pathlib import Path, PurePath

import numpy as np

from evaluation.image_folders import decode_image

__all__ = ["IMAGE_SUFFIXES", "read_shard_images"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


def read_shard_images(
    data: str | Path, split: str, keys: Container[str] | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Images of a split in the shards' order, RGB uint8 (H, W, 3), by sample key; only `keys` if given."""
    for shard in sorted((Path(data) / split).glob("*.tar")):
        try:
            with tarfile.open(shard) as tar:
                for member in tar:
                    name = PurePath(member.name)
                    is_wanted = name.suffix in IMAGE_SUFFIXES and (keys is None or name.stem in keys)
                    if is_wanted and (file := tar.extractfile(member)):
                        yield name.stem, decode_image(io.BytesIO(file.read()), f"{name} in {shard}")
        except tarfile.TarError as error:
            raise ValueError(f"{shard} is no whole tar file ({error}); make the data set again") from error
