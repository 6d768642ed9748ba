"""Images of a data set with their captions."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from evaluation.image_folders import decode_image
from evaluation.shard_images import IMAGE_SUFFIXES

__all__ = ["captioned_images"]


def captioned_images(data: Path, split: str, limit: int) -> Iterator[tuple[np.ndarray, str]]:
    """The first images of a split (RGB uint8) that have captions, in the shards' order."""
    import webdataset as wds

    shards = [str(path) for path in sorted((data / split).glob("*.tar"))]
    if not shards:
        raise ValueError(f"{data / split} holds no shards; make the data set first (`make data`)")
    captioned = (
        sample for sample in wds.WebDataset(shards, shardshuffle=False) if sample.get("txt", b"").strip()
    )
    for sample in islice(captioned, limit):
        name = next((suffix[1:] for suffix in IMAGE_SUFFIXES if suffix[1:] in sample), None)
        if name is not None:
            image = decode_image(
                io.BytesIO(sample[name]), f"{sample['__key__']}.{name} in {sample['__url__']}"
            )
            yield image, sample["txt"].decode("utf-8", errors="replace").strip()
