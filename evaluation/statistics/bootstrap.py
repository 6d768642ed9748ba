"""Bootstrap over prompts: images of one prompt are drawn together, and so are both runs' images of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import stats

from evaluation.intervals import Estimate, bootstrap_levels

__all__ = ["NUM_RESAMPLES", "Difference", "Tally", "interval_of", "paired_difference", "resample_counts"]

NUM_RESAMPLES = 10_000
_AT_ONCE = 4_000_000  # numbers
_FEW = 10


class Tally(NamedTuple):
    """What is averaged: sums and numbers of values per prompt (P).

    The statistic is the mean of all values, or the unweighted mean of such means over strata.
    """

    sums_P: np.ndarray
    counts_P: np.ndarray
    strata_P: np.ndarray  # int from 0; prompts are drawn within their stratum

    @property
    def value(self) -> float:
        return float(self.resampled(np.ones((1, len(self.sums_P))))[0])

    def resampled(self, draws_RP: np.ndarray) -> np.ndarray:
        """The statistic (R) where prompts count as often as `draws_RP` says."""
        means = []
        for stratum in range(self.strata_P.max() + 1):
            inside = self.strata_P == stratum
            draws = draws_RP[:, inside]
            means.append((draws @ self.sums_P[inside]) / (draws @ self.counts_P[inside]))
        return np.mean(means, axis=0)


class Difference(NamedTuple):
    """Second minus first, with its interval and how surely it is not zero.

    Args:
        standard_error: standard deviation over resamples, corrected as the interval is.
        p: two-sided; below 0.05 where the interval leaves zero out.
        degrees: of freedom of the standard error.
    """

    estimate: Estimate
    standard_error: float
    p: float
    degrees: int
    num_prompts: int


def resample_counts(
    strata_P: np.ndarray, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """How often every prompt is drawn, (R, P) in blocks that fit into memory; within strata, which keep
    their sizes.
    """
    rng = np.random.default_rng(seed)
    block = max(1, min(num_resamples, _AT_ONCE // len(strata_P)))
    groups = [np.flatnonzero(strata_P == stratum) for stratum in range(strata_P.max() + 1)]
    for start in range(0, num_resamples, block):
        rows = min(block, num_resamples - start)
        draws_RP = np.empty((rows, len(strata_P)))
        for group in groups:
            size = len(group)
            drawn = rng.integers(0, size, (rows, size)) + size * np.arange(rows)[:, None]
            draws_RP[:, group] = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        yield draws_RP


def interval_of(value: float, resamples: np.ndarray, num_prompts: int) -> Estimate:
    """A value with the interval that its resamples give."""
    low, high = np.quantile(resamples, bootstrap_levels(num_prompts))
    return Estimate(value, float(low), float(high))


def paired_difference(
    first: Tally, second: Tally, *, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Difference:
    """Compare two runs on the same prompts, in the same order and strata; every resample is of both."""
    if len(first.sums_P) != len(second.sums_P) or (first.strata_P != second.strata_P).any():
        raise ValueError(
            f"pairs need the same prompts in both runs, got {len(first.sums_P)} and {len(second.sums_P)}"
        )
    blocks: list[np.ndarray] = []
    for draws_RP in resample_counts(first.strata_P, num_resamples, seed):
        blocks.append(second.resampled(draws_RP) - first.resampled(draws_RP))
    differences = np.concatenate(blocks)
    value = second.value - first.value
    # as many degrees of freedom as there are prompts beyond one per stratum
    num = max(2, len(first.sums_P) - int(first.strata_P.max()))
    error = float(differences.std() * math.sqrt(num / (num - 1)))
    return Difference(
        estimate=interval_of(value, differences, num),
        standard_error=error,
        p=_two_sided(differences, value, error, num),
        degrees=num - 1,
        num_prompts=len(first.sums_P),
    )


def _two_sided(differences: np.ndarray, value: float, error: float, num: int) -> float:
    """The level at which the interval's expanded percentiles begin to hold zero.

    A tail of a few resamples is too coarse for that, and is taken from Student's t if that is less.
    """
    beyond = int(min((differences <= 0).sum(), (differences >= 0).sum()))
    tail = stats.norm.ppf((beyond + 1) / (len(differences) + 1)) * math.sqrt((num - 1) / num)
    if beyond < _FEW and error > 0:
        tail = min(tail, -abs(value) / error)
    return min(1.0, 2 * float(stats.t.cdf(tail, num - 1)))
