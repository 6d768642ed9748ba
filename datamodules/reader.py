"""Read, decode and stack the samples of a batch, by their places in the shards: what the workers do."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.bucketing import assign_buckets
from datamodules.captions import caption_of
from datamodules.decode import cover_crop, decode_rgb
from datamodules.index import SampleRow, ShardIndex, read_member
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch

__all__ = ["BatchReader", "BatchRequest", "LoadedBatch"]

_MAX_SUBSTITUTES = 100
_MAX_OPEN_SHARDS = 64


class BatchRequest(NamedTuple):
    """A rank's part of a global batch."""

    aspect_ratio: float
    samples: tuple[int, ...]
    counts: bool = True  # False: of a validation batch that has too few samples for all ranks


class LoadedBatch(NamedTuple):
    batch: ImageTextBatch | None  # None if no sample could be read, nor any substitute
    num_read: int  # samples tried
    broken: list[tuple[str, str]]  # (key, cause) of those that failed


class _Loaded(NamedTuple):
    key: str
    caption: str
    pixels: np.ndarray  # uint8 (H, W, 3)


class BatchReader(Dataset[LoadedBatch]):
    """Reads, decodes and stacks requested batches: what the workers run.

    Args:
        keep_size: replace a broken sample by the next readable one of the index with the same aspect ratio,
            so that training batches keep their size. Otherwise (validation) it is left out; only a batch of
            which nothing is left gets one such substitute, as a rank can't skip a step.
        max_pixels: larger images are refused before they are decoded.
    """

    def __init__(
        self, index: ShardIndex, resolution: Resolution, *, keep_size: bool, max_pixels: int
    ) -> None:
        self.index = index
        self.resolution = resolution
        self.keep_size = keep_size
        self.max_pixels = max_pixels
        self._candidates: dict[float, np.ndarray] = {}  # numbers of all samples, by aspect ratio
        self._descriptors: OrderedDict[int, int] = OrderedDict()  # of open shards, by number

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_candidates": {}, "_descriptors": OrderedDict()}

    def __getitem__(self, request: BatchRequest) -> LoadedBatch:
        broken: list[tuple[str, str]] = []
        samples = []
        for number in request.samples:
            sample = self._load(self.index[number], request.aspect_ratio, broken)
            if sample is None and self.keep_size:
                sample = self._substitute(number, request.aspect_ratio, broken)
            if sample is not None:
                samples.append(sample)
        counts = request.counts and bool(samples)
        if not samples and (substitute := self._substitute(request.samples[0], request.aspect_ratio, broken)):
            samples.append(substitute)
        if not samples:
            return LoadedBatch(None, len(broken), broken)
        keys, captions, pixels = (list(column) for column in zip(*samples, strict=True))
        batch = ImageTextBatch(_to_float(pixels), captions, keys, request.aspect_ratio, counts)
        return LoadedBatch(batch, len(samples) + len(broken), broken)

    def _load(self, row: SampleRow, aspect_ratio: float, broken: list[tuple[str, str]]) -> _Loaded | None:
        height, width = self.resolution.image_size(aspect_ratio)
        try:
            descriptor = self._descriptor(row.shard)
            data = read_member(descriptor, row.image)
            image = decode_rgb(data or b"", self.max_pixels)
            caption = caption_of(read_member(descriptor, row.text), read_member(descriptor, row.meta))
            return _Loaded(row.key, caption, cover_crop(image, height, width))
        except (ValueError, OSError) as error:  # BrokenSampleError is a ValueError
            broken.append((row.key, f"{error} in {self.index.shard_path(row.shard)}"))
            return None

    def _substitute(self, number: int, aspect_ratio: float, broken: list[tuple[str, str]]) -> _Loaded | None:
        candidates = self._samples_of(aspect_ratio)
        first = np.searchsorted(candidates, number, side="right")
        following = np.concatenate([candidates[first:], candidates[:first]])
        for candidate in following[following != number][:_MAX_SUBSTITUTES].tolist():
            sample = self._load(self.index[candidate], aspect_ratio, broken)
            if sample is not None:
                return sample
        return None

    def _samples_of(self, aspect_ratio: float) -> np.ndarray:
        """Numbers of the samples in one bucket, ascending."""
        if aspect_ratio not in self._candidates:
            ratios = self.resolution.aspect_ratios
            buckets = assign_buckets(self.index.widths, self.index.heights, ratios)
            self._candidates[aspect_ratio] = np.flatnonzero(buckets == ratios.index(aspect_ratio))
        return self._candidates[aspect_ratio]

    def _descriptor(self, shard: int) -> int:
        if shard not in self._descriptors:
            if len(self._descriptors) == _MAX_OPEN_SHARDS:
                os.close(self._descriptors.popitem(last=False)[1])
            self._descriptors[shard] = os.open(self.index.shard_path(shard), os.O_RDONLY)
        self._descriptors.move_to_end(shard)
        return self._descriptors[shard]


def _to_float(pixels: Sequence[np.ndarray]) -> Tensor:
    """uint8 (H, W, 3) arrays of one size to float (B, 3, H, W) in [-1, 1]."""
    stacked = torch.from_numpy(np.stack(pixels))
    return stacked.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1.0)
