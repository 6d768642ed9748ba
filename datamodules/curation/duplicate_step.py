"""The step that drops near-duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from datamodules.curation.step import Scored, Step, Verdict, register
from datamodules.duplicates import SIGNATURE, check_distance, find_look_alikes, keep_one_of_each, signature_of
from datamodules.index import ShardIndex
from datamodules.sample_files import StoredSample

__all__ = ["NearDuplicates"]


@register("near_duplicates")
@dataclass(frozen=True, kw_only=True)
class NearDuplicates(Step):
    """Of images that look the same, keep the largest (the first of equals).

    Training images that look like one of a split for evaluation go, whatever their size.

    Args:
        max_distance: bits of the 64 of a perceptual hash that may differ.
        max_color: mean difference of 4 x 4 color thumbnails (0-255) that is still the same image.
    """

    max_distance: int = 3
    max_color: float = 6.0

    score_is: ClassVar[str] = "perceptual hash (pHash) and color thumbnail"
    packages: ClassVar[tuple[str, ...]] = ("imagehash",)
    decides_by: ClassVar[tuple[str, ...]] = ("max_distance", "max_color")
    score_type: ClassVar[np.dtype] = SIGNATURE
    compares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_distance(self.max_distance)

    def score(self, sample: StoredSample) -> np.void:
        return signature_of(sample.image)

    def decide(self, samples: Scored, others: Sequence[Scored]) -> Verdict:
        everything = (*others, samples)
        signatures = np.concatenate([some.scores for some in everything])
        found = find_look_alikes(signatures, self.max_distance, self.max_color)
        num_others = len(signatures) - len(samples.numbers)
        index, numbers = samples.index, samples.numbers
        preference = np.full(len(signatures), np.inf)
        preference[num_others:] = index.widths[numbers].astype(np.float64) * index.heights[numbers]
        twins, bits = (column[num_others:] for column in keep_one_of_each(found, preference))
        ends = np.cumsum([len(some.numbers) for some in everything])

        def twin(place: int) -> tuple[ShardIndex, int]:
            split = int(np.searchsorted(ends, twins[place], side="right"))
            one = everything[split]
            return one.index, int(one.numbers[twins[place] - (ends[split] - len(one.numbers))])

        def reason(place: int) -> str:
            other, number = twin(place)
            where = "" if other is index else f" of {Path(other.place).name}"
            return f"looks like {other[number].key}{where}, {bits[place]} of 64 bits differ"

        distances = bits.astype(np.float64)
        return Verdict(twins < 0, distances, distances, reason, twin)
