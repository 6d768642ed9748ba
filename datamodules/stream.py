"""From a plan of batches to tensors: workers that read by offset, a loader whose state is one integer."""

from __future__ import annotations

import logging
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from datamodules.bucketing import BatchPlan, rank_slice
from datamodules.decode import BrokenSampleError, caption_of, cover_crop, decode_rgb
from datamodules.index import SampleRow, ShardIndex, read_member
from infinity.schedules import Resolution, nearest_aspect_ratio
from infinity.types import ImageTextBatch

__all__ = [
    "BatchReader",
    "BatchRequest",
    "BatchStream",
    "FaultCounter",
    "LoadedBatch",
    "Position",
    "Requests",
]

log = logging.getLogger(__name__)

_MAX_SUBSTITUTES = 100
_MAX_OPEN_SHARDS = 64


class BatchRequest(NamedTuple):
    """A rank's part of a global batch."""

    aspect_ratio: float
    samples: tuple[int, ...]


class LoadedBatch(NamedTuple):
    batch: ImageTextBatch
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
        so that
            training batches keep their size. Otherwise (validation) it is left out; only a batch of which
            nothing is left gets one such substitute, as a rank can't skip a step.
        max_pixels: larger images are refused before they are decoded.
    """

    def __init__(
        self, index: ShardIndex, resolution: Resolution, *, keep_size: bool, max_pixels: int
    ) -> None:
        self.index = index
        self.resolution = resolution
        self.keep_size = keep_size
        self.max_pixels = max_pixels
        self._descriptors: OrderedDict[int, int] = OrderedDict()  # of open shards, by number

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_descriptors": OrderedDict()}

    def __getitem__(self, request: BatchRequest) -> LoadedBatch:
        broken: list[tuple[str, str]] = []
        samples = []
        for number in request.samples:
            sample = self._load(self.index[number], request.aspect_ratio, broken)
            if sample is None and self.keep_size:
                sample = self._substitute(number, request.aspect_ratio, broken)
            if sample is not None:
                samples.append(sample)
        if not samples:
            samples.append(self._substitute(request.samples[0], request.aspect_ratio, broken))
        keys, captions, pixels = (list(column) for column in zip(*samples, strict=True))
        batch = ImageTextBatch(_to_float(pixels), captions, keys, request.aspect_ratio)
        return LoadedBatch(batch, len(samples) + len(broken), broken)

    def _load(self, row: SampleRow, aspect_ratio: float, broken: list[tuple[str, str]]) -> _Loaded | None:
        try:
            descriptor = self._descriptor(row.shard)
            data = read_member(descriptor, row.image)
            image = decode_rgb(data or b"", self.max_pixels)
            caption = caption_of(read_member(descriptor, row.text), read_member(descriptor, row.meta))
        except (BrokenSampleError, OSError) as error:
            broken.append((row.key, f"{error} in {self.index.shard_path(row.shard)}"))
            return None
        return _Loaded(row.key, caption, cover_crop(image, *self.resolution.image_size(aspect_ratio)))

    def _substitute(self, number: int, aspect_ratio: float, broken: list[tuple[str, str]]) -> _Loaded:
        tried = 0
        for step in range(1, len(self.index)):
            row = self.index[(number + step) % len(self.index)]
            if nearest_aspect_ratio(row.height, row.width, self.resolution.aspect_ratios) == aspect_ratio:
                if (sample := self._load(row, aspect_ratio, broken)) is not None:
                    return sample
                tried += 1
                if tried == _MAX_SUBSTITUTES:
                    break
        cause = f"; last cause: {broken[-1][1]}" if broken else ""
        raise RuntimeError(f"{self.index[number].key} and the {tried} samples after it are unreadable{cause}")

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


@dataclass
class Position:
    """How many global batches of the endless training sequence were handed out: all the state there is."""

    batches: int = 0


class FaultCounter:
    """Names every broken sample once in the log, counts them all, and stops the run when there are too many.

    The limit is a share of the samples read so far, or of the first 1000 (of all, if there are fewer)
    before those are read.
    """

    def __init__(self, split: str, num_samples: int, max_bad_fraction: float) -> None:
        self.split = split
        self.max_bad_fraction = max_bad_fraction
        self.causes: Counter[str] = Counter()
        self.num_read = 0
        self._num_floor = min(num_samples, 1000)
        self._named: set[str] = set()

    @property
    def num_broken(self) -> int:
        return self.causes.total()

    def add(self, loaded: LoadedBatch) -> None:
        self.num_read += loaded.num_read
        for key, cause in loaded.broken:
            self.causes[cause] += 1
            if key not in self._named:
                self._named.add(key)
                log.warning("%s sample %s is skipped: %s", self.split, key, cause)
        if self.num_broken > self.max_bad_fraction * max(self.num_read, self._num_floor):
            listed = "; ".join(f"{count} x {cause}" for cause, count in self.causes.most_common(3))
            raise RuntimeError(
                f"{self.num_broken} of {self.num_read} {self.split} samples read are broken, more than "
                f"max_bad_fraction = {self.max_bad_fraction} allows: {listed}"
            )


class Requests(Sampler[BatchRequest]):
    """One rank's parts of the coming global batches, as many as an epoch has.

    With a `position` they continue the endless sequence of epochs from there; without, they are epoch 0.

    Args:
        plan: the global batches of an epoch.
    """

    def __init__(
        self,
        plan: Callable[[int], BatchPlan],
        aspect_ratios: tuple[float, ...],
        *,
        rank: int = 0,
        num_ranks: int = 1,
        position: Position | None = None,
    ) -> None:
        self.plan = lru_cache(maxsize=1)(plan)
        self.aspect_ratios = aspect_ratios
        self.rank = rank
        self.num_ranks = num_ranks
        self.position = position
        self._num_batches = len(self.plan(0))  # the same in every epoch

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[BatchRequest]:
        start = self.position.batches if self.position else 0
        for number in range(start, start + len(self)):
            epoch, step = divmod(number, len(self))
            plan = self.plan(epoch)
            samples = rank_slice(plan.batch(step), self.rank, self.num_ranks)
            yield BatchRequest(self.aspect_ratios[plan.buckets[step]], tuple(samples.tolist()))


class BatchStream:
    """An iterable over batches, for a Trainer or a plain loop.

    Every iteration lasts one epoch's number of batches; in training it starts where the last one stopped.

    Args:
        prefetch: batches that each worker keeps ready.
    """

    def __init__(
        self,
        reader: BatchReader,
        requests: Requests,
        faults: FaultCounter,
        *,
        num_workers: int = 0,
        prefetch: int = 2,
        worker_context: str | None = None,
    ) -> None:
        self.reader = reader
        self.requests = requests
        self.faults = faults
        self.num_workers = num_workers
        self.prefetch = prefetch
        self.worker_context = worker_context

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[ImageTextBatch]:
        position = self.requests.position
        for loaded in self._loader:
            self.faults.add(loaded)
            if position is not None:
                position.batches += 1  # before its use: a checkpoint made after the step counts the batch
            yield loaded.batch

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        self.__dict__.pop("_loader", None)

    @cached_property
    def _loader(self) -> DataLoader[LoadedBatch]:
        workers = {}
        if self.num_workers:
            workers = {
                "prefetch_factor": self.prefetch,
                "persistent_workers": True,
                "multiprocessing_context": self.worker_context,
            }
        return DataLoader(
            self.reader,
            batch_size=None,  # a request is a batch already
            sampler=self.requests,
            num_workers=self.num_workers,
            collate_fn=_unchanged,
            pin_memory=torch.cuda.is_available(),
            **workers,
        )


def _unchanged(loaded: LoadedBatch) -> LoadedBatch:
    return loaded
