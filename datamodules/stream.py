"""A loader whose state is one integer: which batches come next, and what was broken in them."""

from __future__ import annotations

import gc
import logging
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from datamodules.bucketing import BatchSequence, rank_slice
from datamodules.reader import BatchReader, BatchRequest, LoadedBatch, to_float
from datamodules.slots import PixelSlots
from infinity.types import ImageTextBatch

__all__ = ["BatchStream", "BrokenDataError", "FaultCounter", "Position", "Requests"]

log = logging.getLogger(__name__)

_CPU = torch.device("cpu")


@dataclass
class Position:
    """How many global batches of the endless training sequence were handed out: all the state there is."""

    batches: int = 0


class BrokenDataError(ValueError):
    """So many samples are broken that the run has to stop; the message sums up why."""


class FaultCounter:
    """Names every broken sample once in the log, counts those of a pass, and stops the run at too many.

    Args:
        num_floor: the limit is a share of the samples read in this pass, at least of so many.
    """

    def __init__(self, split: str, num_floor: int, max_bad_fraction: float) -> None:
        self.split = split
        self.num_floor = num_floor
        self.max_bad_fraction = max_bad_fraction
        self.causes: Counter[str] = Counter()
        self.num_read = 0
        self.missing_captions: Counter[str] = Counter()  # of samples that lack the kind that was drawn
        self._named: set[str] = set()
        self._told: set[str] = set()

    def start_pass(self) -> None:
        """Count anew: a sample that is broken in every pass is one broken sample, not more each time."""
        self.causes.clear()
        self.missing_captions.clear()
        self.num_read = 0

    @property
    def num_broken(self) -> int:
        return self.causes.total()

    def add(self, loaded: LoadedBatch) -> None:
        self.num_read += loaded.num_read
        for kind in loaded.missing_captions:
            self.missing_captions[kind] += 1
            if kind not in self._told:
                self._told.add(kind)
                log.warning("%s: some samples have no caption of kind %s and take another", self.split, kind)
        for key, cause in loaded.broken:
            self.causes[cause] += 1
            if key not in self._named:
                self._named.add(key)
                log.warning("%s sample %s is skipped: %s", self.split, key, cause)
        listed = "; ".join(f"{count} x {cause}" for cause, count in self.causes.most_common(3))
        if self.num_broken > self.max_bad_fraction * max(self.num_read, self.num_floor):
            raise BrokenDataError(
                f"{self.num_broken} of {self.num_read} {self.split} samples read are broken, more than "
                f"max_bad_fraction = {self.max_bad_fraction} allows: {listed}"
            )
        if loaded.batch is None:
            raise BrokenDataError(
                f"{self.split} sample {loaded.broken[-1][0]} is broken, and so is all that could take its "
                f"place: {listed}"
            )


class Requests(Sampler[BatchRequest]):
    """One rank's parts of the coming global batches, as many as a pass has.

    With a `position` they go on from there; without, they are the first ones.
    """

    def __init__(
        self,
        batches: BatchSequence,
        aspect_ratios: tuple[float, ...],
        *,
        rank: int = 0,
        num_ranks: int = 1,
        position: Position | None = None,
    ) -> None:
        self.batches = batches
        self.aspect_ratios = aspect_ratios
        self.rank = rank
        self.num_ranks = num_ranks
        self.position = position

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[BatchRequest]:
        start = self.position.batches if self.position else 0
        for number in range(start, start + len(self)):
            bucket, samples, epoch = self.batches.batch(number)
            own = rank_slice(samples, self.rank, self.num_ranks)
            # without a sample of its own a rank still takes the step, on one that another rank counts
            taken = own if len(own) else samples[:1]
            yield BatchRequest(self.aspect_ratios[bucket], tuple(taken.tolist()), len(own) > 0, epoch, number)


class BatchStream:
    """An iterable over batches, for a Trainer or a plain loop.

    Every iteration is one pass; in training it starts where the last one stopped.

    Args:
        batch_size: the most samples of a batch.
        prefetch: batches that each worker keeps ready.
        device: where images come to lie; they are sent there as bytes.
    """

    def __init__(
        self,
        reader: BatchReader,
        requests: Requests,
        faults: FaultCounter,
        *,
        batch_size: int,
        num_workers: int = 0,
        prefetch: int = 2,
        worker_context: str | None = None,
        device: torch.device = _CPU,
    ) -> None:
        self.reader = reader
        self.requests = requests
        self.faults = faults
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.prefetch = prefetch
        self.worker_context = worker_context
        self.device = device

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[ImageTextBatch]:
        position = self.requests.position
        self.faults.start_pass()
        for loaded in self._loader:
            self.faults.add(loaded)
            assert loaded.batch is not None
            if position is not None:
                position.batches += 1  # before its use: a checkpoint made after the step counts the batch
            images_B3HW = loaded.batch.images_B3HW
            if loaded.pixels is not None:
                images_B3HW = self.reader.slots.read(loaded.pixels)
            if images_B3HW is not None:
                # from a slot, which is another batch's before long, only at once
                at_once = loaded.pixels is not None
                images_B3HW = to_float(images_B3HW.to(self.device, non_blocking=not at_once))
            yield loaded.batch._replace(images_B3HW=images_B3HW)

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        self.__dict__.pop("_loader", None)

    @cached_property
    def _loader(self) -> DataLoader[LoadedBatch]:
        workers = {}
        if self.num_workers:
            in_slots = self.reader.needs_pixels and not torch.cuda.is_available()
            self.reader.slots = self._slots() if in_slots else None
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
            worker_init_fn=_spare_collector,
            pin_memory=torch.cuda.is_available(),
            **workers,
        )

    def _slots(self) -> PixelSlots:
        """Shared memory for the batches that workers have ready or under way, and the one that is in use."""
        ratios = self.requests.aspect_ratios
        num_pixels = max(math.prod(self.reader.resolution.image_size(ratio)) for ratio in ratios)
        return PixelSlots(self.num_workers * self.prefetch + 2, 3 * num_pixels * self.batch_size)


def _spare_collector(_worker: int) -> None:
    """Have garbage collection pass over what a worker starts with, all of PyTorch: it is there to stay."""
    gc.freeze()


def _unchanged(loaded: Any) -> Any:
    return loaded
