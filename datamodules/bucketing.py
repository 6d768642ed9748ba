"""The order of samples: pure functions of a seed, an epoch and the global batch size.

Neither ranks, workers nor prefetching appear here, so none of them can change the order. A global batch
holds samples of one aspect-ratio bucket; every rank takes its slice of the same global batch, so all ranks
see one bucket at a step.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["BatchPlan", "assign_buckets", "plan_evaluation", "plan_training", "rank_slice", "shuffled"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class BatchPlan(NamedTuple):
    """Global batches of one epoch: batch k holds ``samples[starts[k]:starts[k + 1]]``, all of one bucket."""

    samples: np.ndarray  # int64
    starts: np.ndarray  # int64, one more than batches
    buckets: np.ndarray  # int64, number of the aspect ratio
    num_dropped: int  # samples in no batch

    def __len__(self) -> int:
        return len(self.buckets)

    def batch(self, number: int) -> np.ndarray:
        return self.samples[self.starts[number] : self.starts[number + 1]]


def assign_buckets(widths: np.ndarray, heights: np.ndarray, aspect_ratios: tuple[float, ...]) -> np.ndarray:
    """Per sample, the number of the nearest ratio (height / width, absolute difference, first of equals)."""
    ratios = np.asarray(heights, np.float64) / np.asarray(widths, np.float64)
    nearest = np.zeros(len(ratios), np.int16)
    smallest = np.full(len(ratios), np.inf)
    for number, ratio in enumerate(aspect_ratios):
        distance = np.abs(ratios - ratio)
        closer = distance < smallest
        nearest[closer] = number
        smallest[closer] = distance[closer]
    return nearest


def plan_training(buckets: np.ndarray, global_batch: int, *, seed: int, epoch: int) -> BatchPlan:
    """Shuffle the samples of each bucket over the whole data set, then the batches of all buckets.

    These are plain permutations: samples are read by offset, so they needn't be near each other. What is left
    of a bucket after its last full batch is dropped for this epoch, so every epoch has equally many batches,
    all full. Another epoch drops other samples, but a bucket smaller than a global batch is never drawn.
    """
    samples, numbers, num_dropped = [], [], 0
    for bucket in np.unique(buckets):
        members = np.flatnonzero(buckets == bucket)
        num_batches = len(members) // global_batch
        order = members[shuffled(len(members), seed, epoch, int(bucket))]
        samples.append(order[: num_batches * global_batch].reshape(num_batches, global_batch))
        numbers.append(np.full(num_batches, bucket))
        num_dropped += len(members) - num_batches * global_batch
    batches = np.concatenate(samples) if samples else np.empty((0, global_batch), np.int64)
    order = shuffled(len(batches), seed, epoch, -1)
    starts = np.arange(len(batches) + 1) * global_batch
    return BatchPlan(batches[order].reshape(-1), starts, np.concatenate(numbers)[order], num_dropped)


def plan_evaluation(buckets: np.ndarray, global_batch: int, *, num_ranks: int) -> BatchPlan:
    """Every sample exactly once, in the order of the index, bucket after bucket.

    A bucket is cut into batches of about equal size, so that each rank gets part of every batch: ranks take
    equally many steps, as collective operations need, and no sample is repeated to fill up.
    """
    samples, sizes, numbers = [], [], []
    for bucket in np.unique(buckets):
        members = np.flatnonzero(buckets == bucket)
        if len(members) < num_ranks:
            raise ValueError(
                f"a validation bucket has only {len(members)} samples for {num_ranks} ranks; use fewer "
                f"ranks, more samples or fewer aspect ratios"
            )
        num_batches = min(-(-len(members) // global_batch), len(members) // num_ranks)
        samples.append(members)
        sizes += [len(part) for part in np.array_split(members, num_batches)]
        numbers += [bucket] * num_batches
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return BatchPlan(np.concatenate(samples), starts, np.array(numbers), 0)


def rank_slice(batch: np.ndarray, rank: int, num_ranks: int) -> np.ndarray:
    """A rank's part of a global batch; the parts differ by one sample at most."""
    return batch[len(batch) * rank // num_ranks : len(batch) * (rank + 1) // num_ranks]


def shuffled(count: int, *key: int) -> np.ndarray:
    """A permutation made of `key` only: numbers sorted by a 64-bit mix (splitmix64) of number and key.

    Written out, as NumPy's generators may change their streams between versions and a resumed run must not.
    """
    state = np.uint64(0)
    with np.errstate(over="ignore"):
        for word in key:
            state = _mix(state + np.uint64(word % 2**64) + _GOLDEN)
        return np.argsort(_mix(state + _GOLDEN * np.arange(count, dtype=np.uint64)), kind="stable")


def _mix(x: np.ndarray | np.uint64) -> Any:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
