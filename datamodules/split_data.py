"""One split of one data set or of several: its index, and the bucket of every sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.bucketing import assign_buckets
from datamodules.index import ShardIndex
from datamodules.index_files import HEADER
from datamodules.listing import file_sizes
from datamodules.mixture import DataSource, JoinedIndex, source_names
from datamodules.storage import is_url, join, location_of
from infinity.schedules import Resolution

__all__ = ["SplitData", "open_split"]

log = logging.getLogger(__name__)

_MAX_ENLARGEMENT = 2.0
_NOTABLE_CROP = 0.1
_NUM_LOOKED_AT = 2**16


@dataclass(frozen=True)
class SplitData:
    """The samples of a split.

    Args:
        sources: the data sets that have this split.
        parts: their indices.
        index: of all of them.
        buckets: uint8, per sample.
    """

    name: str
    sources: tuple[DataSource, ...]
    parts: tuple[ShardIndex, ...]
    index: ShardIndex | JoinedIndex
    buckets: np.ndarray

    @property
    def names(self) -> list[str]:
        return source_names(self.sources)


def open_split(
    sources: Sequence[DataSource], split: str, resolution: Resolution, *, needed: bool
) -> SplitData:
    """Open and check the indices: all shards there and whole, images large enough.

    Args:
        needed: whether every data set must have this split; else those without are left out, and named.
    """
    missing = [] if needed else [source.root for source in sources if not _has(source, split)]
    if missing and len(missing) < len(sources):
        log.warning("%s has no samples of %s, which have no such split", split, ", ".join(missing))
        sources = [source for source in sources if source.root not in missing]
    parts = tuple(_open(source.root, split) for source in sources)
    buckets = np.empty(sum(map(len, parts)), np.uint8)
    start = 0
    for source, part in zip(sources, parts, strict=True):
        own = buckets[start : start + len(part)]
        own[:] = assign_buckets(part.widths, part.heights, resolution.aspect_ratios)
        _check_sizes(f"{source.root}/{split}", part, own, resolution)
        start += len(part)
    index = parts[0] if len(sources) == 1 else JoinedIndex(source_names(sources), parts)
    return SplitData(split, tuple(sources), parts, index, buckets)


def _has(source: DataSource, split: str) -> bool:
    header = join(join(location_of(source.root), split), HEADER)
    return file_sizes([header])[0] is not None


def _open(root: str, split: str) -> ShardIndex:
    place = location_of(root)
    if not is_url(place) and not Path(place).is_dir():
        raise ValueError(
            f"no data set at {root}; make one with `make data` or `python -m datamodules prepare`"
        )
    if not is_url(place) and not Path(place, split).is_dir():
        raise ValueError(
            f"{root} has no split {split}, which would be a subfolder with an index; name another by "
            f"data.train_split or data.val_split (trainer.limit_val_batches 0 trains without validation)"
        )
    index = ShardIndex.load(join(place, split))
    index.verify()
    return index


def _check_sizes(place: str, index: ShardIndex, buckets: np.ndarray, resolution: Resolution) -> None:
    """Compare images with the sizes they are resized to; of many, evenly spread ones."""
    looked_at = np.linspace(0, len(index) - 1, min(len(index), _NUM_LOOKED_AT)).astype(np.int64)
    sizes = np.array([resolution.image_size(ratio) for ratio in resolution.aspect_ratios])
    heights, widths = sizes[buckets[looked_at]].T
    across, down = widths / index.widths[looked_at], heights / index.heights[looked_at]
    enlargement = float(np.median(np.maximum(across, down)))
    if enlargement > _MAX_ENLARGEMENT:
        raise ValueError(
            f"images of {place} (the first is {index.widths[0]}x{index.heights[0]}) would be "
            f"enlarged {enlargement:.3g} times to {sizes[0][1]}x{sizes[0][0]}; use larger images or a "
            f"smaller resolution"
        )
    cropped = float(np.mean(1 - np.minimum(across, down) / np.maximum(across, down)))
    if cropped > _NOTABLE_CROP:
        log.warning(
            "%s: cropping to the configured aspect ratios %s cuts %.0f %% of the image area away",
            *(place, list(resolution.aspect_ratios), 100 * cropped),
        )
