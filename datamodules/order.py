"""The order of training: a pure function of seed, epoch and global batch size, evaluated lazily.

An epoch goes through blocks, runs of consecutive samples of one shard, in a shuffled order; those of several
data sets are spread evenly. As many blocks as hold about `shuffle_window` samples make a window. Within a
window the samples of each bucket are shuffled; one window after the other, they make the bucket's stream.
Batch j of a bucket is the stream's items [j * B, (j + 1) * B), where B is the global batch size. Batches that
are completed in a window come in that window, shuffled.

So a data set up to the window's size is shuffled as a whole, and a larger one is read mostly sequentially.
Counts of samples per block and bucket tell which window a step lies in: going on at any step takes that
window alone, not the epoch before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from datamodules.bucketing import GlobalBatch, shuffled

__all__ = ["EpochOrder", "Runs", "Source", "TrainingOrder", "block_bounds", "block_size", "joined_bounds"]

_BLOCKS_PER_WINDOW = 8
_MIN_BLOCK, _MAX_BLOCK = 2**6, 2**14  # samples; shards of img2dataset (10,000) are one block
_BATCHES, _PASSES = -1, -2  # last words of a shuffle's key; buckets count from 0


class Source(NamedTuple):
    """A data set's place among all samples, and its part of an epoch."""

    start: int  # its first sample
    stop: int
    num_drawn: int  # samples of it in an epoch


class Runs(NamedTuple):
    """Consecutive samples, [starts[r], stops[r]) for every run r."""

    starts: np.ndarray  # int64
    stops: np.ndarray  # int64
    counts_RB: np.ndarray  # int32, samples per bucket


def block_size(num_in_window: float) -> int:
    """The most samples of a block of a data set that has so many in a window: it shall have several there."""
    return int(min(max(num_in_window // _BLOCKS_PER_WINDOW, _MIN_BLOCK), _MAX_BLOCK))


def block_bounds(shard_starts: np.ndarray, max_block: int) -> np.ndarray:
    """Where blocks begin, and the number of samples: every shard is cut into equal parts, as few as may be.

    Args:
        shard_starts: first sample of every shard, and the number of samples.
        max_block: the most samples of a block.
    """
    bounds = np.unique(shard_starts)  # without empty shards
    sizes = np.diff(bounds)
    parts = -(-sizes // max_block)
    part = np.arange(parts.sum()) - np.repeat(parts.cumsum() - parts, parts)
    starts = np.repeat(bounds[:-1], parts) + part * np.repeat(sizes, parts) // np.repeat(parts, parts)
    return np.append(starts, bounds[-1])


def joined_bounds(bounds: Sequence[np.ndarray]) -> np.ndarray:
    """Bounds of the blocks of several data sets whose samples are numbered one after the other."""
    offsets = np.cumsum([0, *(each[-1] for each in bounds)])
    moved = [each[:-1] + offset for each, offset in zip(bounds, offsets, strict=False)]
    return np.concatenate([*moved, offsets[-1:]])


class TrainingOrder:
    """The endless sequence of global batches, one epoch after the other.

    Without `sources`, an epoch has every sample once. With them it has `num_drawn` samples of each: its
    blocks go on, pass after pass, where the epoch before stopped, so that all are drawn equally often.

    Either way the samples of a bucket that are left after its last full batch are dropped for this epoch:
    other ones in every epoch, but a bucket with fewer samples than a global batch is never drawn.

    Args:
        buckets: uint8, bucket of every sample.
        bounds: where blocks begin, and the number of samples.
        shuffle_window: samples that are shuffled together; up to a block more.
    """

    def __init__(
        self,
        buckets: np.ndarray,
        bounds: np.ndarray,
        *,
        num_buckets: int,
        global_batch: int,
        seed: int,
        shuffle_window: int,
        sources: Sequence[Source] = (),
    ) -> None:
        self.buckets = buckets
        self.bounds = bounds
        self.global_batch = global_batch
        self.seed = seed
        self.shuffle_window = shuffle_window
        self.sources = tuple(sources) or (Source(0, len(buckets), len(buckets)),)
        self.counts_KB = np.empty((len(bounds) - 1, num_buckets), np.int32)
        for block, (start, stop) in enumerate(zip(bounds.tolist(), bounds[1:].tolist(), strict=False)):
            self.counts_KB[block] = np.bincount(buckets[start:stop], minlength=num_buckets)
        self.epoch = lru_cache(maxsize=2)(self._epoch)
        self._ends = [len(self.epoch(0))]  # batches up to the end of every epoch, as far as known

    def __len__(self) -> int:
        """Batches of the first epoch; every other has as many, unless a source is drawn in part."""
        return self._ends[0]

    def batch(self, number: int) -> GlobalBatch:
        epoch, step = self.locate(number)
        return self.epoch(epoch).batch(step)

    def locate(self, number: int) -> tuple[int, int]:
        """Epoch of a batch of the endless sequence, and its number there."""
        if all(source.num_drawn % (source.stop - source.start) == 0 for source in self.sources):
            return divmod(number, len(self))
        while self._ends[-1] <= number:
            self._ends.append(self._ends[-1] + len(self.epoch(len(self._ends))))
        epoch = int(np.searchsorted(self._ends, number, side="right"))
        return epoch, number - (self._ends[epoch - 1] if epoch else 0)

    def _epoch(self, epoch: int) -> EpochOrder:
        parts = [self._runs(number, epoch) for number in range(len(self.sources))]
        runs = Runs(*(np.concatenate(column) for column in zip(*parts, strict=True)))
        # every source goes on at its own even pace: by the share of its samples before the middle of a run
        order = np.argsort(np.concatenate([_middles(part) for part in parts]), kind="stable")
        runs = Runs(*(column[order] for column in runs))
        return EpochOrder(
            self.buckets,
            runs,
            seed=self.seed,
            epoch=epoch,
            global_batch=self.global_batch,
            shuffle_window=self.shuffle_window,
        )

    def _runs(self, number: int, epoch: int) -> Runs:
        """The blocks of one source for an epoch; the first and the last may be cut."""
        source = self.sources[number]
        size, drawn = source.stop - source.start, source.num_drawn
        first, last = np.searchsorted(self.bounds, (source.start, source.stop)).tolist()
        blocks, starts, stops = [], [], []
        for turn in range(epoch * drawn // size, -(-(epoch + 1) * drawn // size)):
            order = first + shuffled(last - first, self.seed, number, turn, _PASSES)
            sizes = self.bounds[order + 1] - self.bounds[order]
            begins = sizes.cumsum() - sizes + turn * size  # in the endless sequence of this source's passes
            low = np.clip(epoch * drawn - begins, 0, sizes)
            high = np.clip((epoch + 1) * drawn - begins, 0, sizes)
            taken = low < high
            blocks.append(order[taken])
            starts.append((self.bounds[order] + low)[taken])
            stops.append((self.bounds[order] + high)[taken])
        block, start, stop = (np.concatenate(column) for column in (blocks, starts, stops))
        counts_RB = self.counts_KB[block]
        for run in np.flatnonzero(stop - start < self.bounds[block + 1] - self.bounds[block]):
            part = self.buckets[start[run] : stop[run]]
            counts_RB[run] = np.bincount(part, minlength=counts_RB.shape[1])
        return Runs(start, stop, counts_RB)


def _middles(runs: Runs) -> np.ndarray:
    sizes = runs.stops - runs.starts
    return (sizes.cumsum() - sizes / 2) / sizes.sum()


class EpochOrder:
    """The global batches of one epoch, by number.

    Args:
        runs: what the epoch goes through, in this order.
    """

    def __init__(
        self,
        buckets: np.ndarray,
        runs: Runs,
        *,
        seed: int,
        epoch: int,
        global_batch: int,
        shuffle_window: int,
    ) -> None:
        self.buckets = buckets
        self.runs = runs
        self.global_batch = global_batch
        self.seed = seed
        self.epoch = epoch
        sizes = runs.stops - runs.starts
        window = (sizes.cumsum() - sizes) // shuffle_window
        first = np.flatnonzero(np.diff(window, prepend=-1))
        self._bounds = np.append(first, len(sizes))  # of windows, in runs
        # samples of every bucket before a window
        self._before_WB = np.zeros((len(first) + 1, runs.counts_RB.shape[1]), np.int64)
        np.add.reduceat(runs.counts_RB, first, axis=0, dtype=np.int64).cumsum(axis=0, out=self._before_WB[1:])
        self._steps = (self._before_WB // global_batch).sum(axis=1)  # batches completed before a window
        self._window = lru_cache(maxsize=1)(self._batches_of)

    def __len__(self) -> int:
        return int(self._steps[-1])

    @property
    def num_windows(self) -> int:
        return len(self._bounds) - 1

    @property
    def samples_per_bucket(self) -> np.ndarray:
        """Samples of every bucket."""
        return self._before_WB[-1]

    @property
    def dropped_per_bucket(self) -> np.ndarray:
        """Samples of every bucket that are in no batch."""
        return self._before_WB[-1] % self.global_batch

    def batch(self, step: int) -> GlobalBatch:
        if not 0 <= step < len(self):
            raise IndexError(f"an epoch of {len(self)} batches has no batch {step}")
        window = int(np.searchsorted(self._steps, step, side="right")) - 1
        return self._window(window)[step - int(self._steps[window])]

    def _batches_of(self, window: int) -> list[GlobalBatch]:
        """The batches that are completed in a window."""
        batches = []
        for bucket, (low, high) in enumerate(self._before_WB[window : window + 2].T // self.global_batch):
            if high > low:
                items = self._stream(bucket, low * self.global_batch, window)
                full = items[: (high - low) * self.global_batch].reshape(-1, self.global_batch)
                batches += [GlobalBatch(bucket, samples, self.epoch) for samples in full]
        return [batches[k] for k in shuffled(len(batches), self.seed, self.epoch, window, _BATCHES)]

    def _stream(self, bucket: int, start: int, window: int) -> np.ndarray:
        """A bucket's stream from item `start` to the end of a window."""
        before = self._before_WB[:, bucket]
        first = int(np.searchsorted(before, start, side="right")) - 1
        found = [self._members(number, bucket) for number in range(first, window + 1)]
        return np.concatenate(found)[start - before[first] :]

    def _members(self, window: int, bucket: int) -> np.ndarray:
        """The samples of a window and bucket, shuffled."""
        low, high = self._bounds[window : window + 2]
        found = [np.empty(0, np.int64)]
        for run in (low + np.flatnonzero(self.runs.counts_RB[low:high, bucket])).tolist():
            start, stop = int(self.runs.starts[run]), int(self.runs.stops[run])
            found.append(start + np.flatnonzero(self.buckets[start:stop] == bucket))
        members = np.concatenate(found)
        return members[shuffled(len(members), self.seed, self.epoch, window, bucket)]
