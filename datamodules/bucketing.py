"""Aspect-ratio buckets, and the pure functions that every order of samples is made of.

Neither ranks, workers nor prefetching appear in an order, so none of them can change it. A global batch
holds samples of one bucket; every rank takes its slice of the same global batch, so all ranks see one bucket
at a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = ["BatchSequence", "EvaluationOrder", "GlobalBatch", "assign_buckets", "rank_slice", "shuffled"]

_CHUNK = 2**16
_MAX_BUCKETS = 256
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class GlobalBatch(NamedTuple):
    """What all ranks together take at a step."""

    bucket: int  # number of the aspect ratio
    samples: np.ndarray  # int64
    epoch: int = 0


class BatchSequence(Protocol):
    """Global batches by number; the length is that of one pass."""

    def __len__(self) -> int: ...

    def batch(self, number: int, /) -> GlobalBatch: ...


class EvaluationOrder:
    """Every sample exactly once.

    A bucket is cut, in the order of the index, into batches of about equal size, so that each rank has work
    in every batch. Where a batch has fewer samples than there are ranks, some ranks get none. The batches
    come in an order that is shuffled once and for all: where only the first ones are asked for, they are
    a fair part of all buckets and data sets.

    Args:
        buckets: bucket of every sample.
        global_batch: the most samples of a batch.
    """

    def __init__(self, buckets: np.ndarray, global_batch: int) -> None:
        batches: list[GlobalBatch] = []
        for bucket in np.unique(buckets).tolist():
            members = np.flatnonzero(buckets == bucket)
            parts = np.array_split(members, -(-len(members) // global_batch))
            batches += [GlobalBatch(bucket, part) for part in parts]
        self.batches = [batches[k] for k in shuffled(len(batches), 0)]

    def __len__(self) -> int:
        return len(self.batches)

    def batch(self, number: int) -> GlobalBatch:
        return self.batches[number]


def assign_buckets(widths: np.ndarray, heights: np.ndarray, aspect_ratios: Sequence[float]) -> np.ndarray:
    """Per sample, the number of the nearest ratio (height / width, absolute difference, first of equals).

    Returns uint8 and takes no more memory than that, however many samples there are.
    """
    if len(aspect_ratios) > _MAX_BUCKETS:
        raise ValueError(f"at most {_MAX_BUCKETS} aspect ratios are possible, got {len(aspect_ratios)}")
    ratios, numbers = np.unique(np.asarray(aspect_ratios, np.float64), return_index=True)
    borders = [
        _border(*ratios[k : k + 2].tolist(), upper_first=numbers[k + 1] < numbers[k])
        for k in range(len(ratios) - 1)
    ]
    buckets = np.empty(len(widths), np.uint8)
    for start in range(0, len(widths), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        measured = np.asarray(heights[chunk], np.float64) / widths[chunk]
        places = np.zeros(len(measured), np.uint8)
        for border in borders:  # several times faster than a binary search
            places += measured >= border
        buckets[chunk] = numbers.astype(np.uint8)[places]
    return buckets


def _border(lower: float, upper: float, *, upper_first: bool) -> float:
    """The smallest number that is nearer to `upper` than to `lower`, as floating-point numbers compare."""
    low, high = lower, upper
    while (middle := (low + high) / 2) not in (low, high):
        below, above = middle - lower, upper - middle
        if above < below or (upper_first and above == below):
            high = middle
        else:
            low = middle
    return high


def rank_slice(samples: np.ndarray, rank: int, num_ranks: int) -> np.ndarray:
    """A rank's part of a global batch; the parts differ by one sample at most, the first has the most."""
    start, stop = (-(-len(samples) * part // num_ranks) for part in (rank, rank + 1))
    return samples[start:stop]


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
