"""Everything that the table, the JSON and the page show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datamodules.index import ShardIndex
from datamodules.statistics.captions import CaptionLengths
from datamodules.statistics.images import Bucket, SplitImages
from datamodules.statistics.numbers import Distribution
from datamodules.statistics.pixels import Duplicates, Pixels
from infinity.schedules import Resolution

__all__ = ["DatasetReport", "SplitReport"]

_COMMON_SIZES = 10


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """One split.

    Args:
        fingerprint: of its index.
        num_bytes: of its shards.
        sizes: the commonest image sizes, as (width, height, number of images).
        aspect_ratios: height / width.
        words: per caption, by the captions' kind; so are `characters`.
        num_captioned: samples whose captions were read.
        num_decoded: samples whose images were decoded.
        left_out: causes of samples that are not in the index, with their numbers.
        broken: causes of samples that are in the index but can't be read, with their numbers.
    """

    fingerprint: str
    num_samples: int
    num_shards: int
    num_bytes: int
    widths: Distribution
    heights: Distribution
    sizes: tuple[tuple[int, int, int], ...]
    aspect_ratios: Distribution
    image_bytes: Distribution
    crop_loss: Distribution
    enlargement: Distribution
    buckets: tuple[Bucket, ...]
    words: Mapping[str, Distribution]
    characters: Mapping[str, Distribution]
    num_captioned: int
    num_decoded: int
    left_out: Mapping[str, int]
    broken: Mapping[str, int]

    @classmethod
    def of(
        cls,
        index: ShardIndex,
        images: SplitImages,
        captions: CaptionLengths,
        pixels: Pixels,
        resolution: Resolution,
    ) -> SplitReport:
        """Sum up what was measured."""
        pairs, counts = np.unique(np.stack([images.widths, images.heights], 1), axis=0, return_counts=True)
        common = np.argsort(-counts, kind="stable")[:_COMMON_SIZES]
        return cls(
            fingerprint=index.fingerprint,
            num_samples=len(index),
            num_shards=len(index.shards),
            num_bytes=sum(shard.num_bytes for shard in index.shards),
            widths=Distribution.of(images.widths),
            heights=Distribution.of(images.heights),
            sizes=tuple((*pairs[place].tolist(), int(counts[place])) for place in common),
            aspect_ratios=Distribution.of(images.ratios),
            image_bytes=Distribution.of(images.num_bytes),
            crop_loss=Distribution.of(images.crop_loss),
            enlargement=Distribution.of(images.enlargement),
            buckets=images.by_bucket(resolution),
            words={kind: Distribution.of(words) for kind, words in captions.words.items()},
            characters={kind: Distribution.of(length) for kind, length in captions.characters.items()},
            num_captioned=captions.num_read,
            num_decoded=pixels.num_read,
            left_out=dict(Counter(cause for _, cause in index.left_out).most_common()),
            broken=dict((captions.broken + pixels.broken).most_common()),
        )


@dataclass(frozen=True, kw_only=True)
class DatasetReport:
    """All splits of a data set.

    Args:
        resolution: in words.
        duplicates: None if nobody asked for them.
    """

    name: str
    resolution: str
    splits: Mapping[str, SplitReport]
    duplicates: Duplicates | None

    def as_dict(self) -> dict[str, Any]:
        """What ``stats.json`` holds."""
        return asdict(self)
