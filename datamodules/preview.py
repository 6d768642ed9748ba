"""What packing would do: some samples of every split tried, sizes estimated from them."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from datamodules.decode import BrokenSampleError
from datamodules.packing import DatasetParts
from datamodules.shards import Sample, SampleSource

__all__ = ["Tried", "refuse_if_hopeless", "tell_plan", "try_samples"]

_NUM_TRIED = 16
_NUM_SHOWN = 3
_TAR_OVERHEAD = 3 * 512 + 3 * 256  # headers and padding of a sample's three files
_MAX_CAPTION = 60


class Tried(NamedTuple):
    samples: list[Sample]
    causes: list[str]  # of those that are unusable

    @property
    def total(self) -> int:
        return len(self.samples) + len(self.causes)


def try_samples(source: SampleSource) -> Tried:
    """Make some samples, spread evenly over a split."""
    tried = Tried([], [])
    step = max(1, ceil(len(source) / _NUM_TRIED))
    for index in range(0, len(source), step):
        try:
            tried.samples.append(source[index])
        except BrokenSampleError as error:
            tried.causes.append(str(error))
    return tried


def refuse_if_hopeless(split: str, tried: Tried) -> None:
    """Before hours of work: a wrong folder of images, say, makes all samples unusable."""
    if tried.causes and not tried.samples:
        raise ValueError(
            f"none of {tried.total} samples of {split} that were tried is usable: "
            f"{'; '.join(tried.causes[:2])}"
        )


def tell_plan(parts: DatasetParts, samples_per_shard: int) -> str:
    """The splits with their shards, and the first samples; nothing is written."""
    lines = []
    for split, source in parts.splits.items():
        tried = try_samples(source)
        refuse_if_hopeless(split, tried)
        num_shards = ceil(len(source) / samples_per_shard)
        sizes = [len(sample.image) + 2 * len(sample.caption) + _TAR_OVERHEAD for sample in tried.samples]
        num_bytes = sum(sizes) / max(1, len(sizes)) * len(source)
        lines.append(f"{split}: {len(source)} samples, {num_shards} shards, about {num_bytes / 1e6:.3g} MB")
        for sample in tried.samples[:_NUM_SHOWN]:
            caption = sample.caption[:_MAX_CAPTION] + "..." * (len(sample.caption) > _MAX_CAPTION)
            lines.append(f"  {sample.key}: {sample.width}x{sample.height} {sample.extension}, {caption!r}")
        if tried.causes:
            lines.append(f"  {len(tried.causes)} of {tried.total} tried are unusable: {tried.causes[0]}")
    return "\n".join(lines)
