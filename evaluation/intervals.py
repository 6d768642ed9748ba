"""95 % intervals: of shares (Wilson), of shares over prompts (clustered), of means (bootstrap), of medians.

Images of one prompt are not independent: a benchmark's uncertainty comes from its prompts.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

__all__ = [
    "Estimate",
    "bootstrap_levels",
    "bootstrap_mean",
    "clustered_share",
    "difference_of_estimates",
    "mean_of_estimates",
    "median_of",
    "wilson",
]

LEVEL = 0.95


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(value: float, num: float, quantile: float | None = None) -> Estimate:
    """Wilson's score interval of a share that was seen in `num` independent trials (need not be whole)."""
    z2 = (float(stats.norm.ppf((1 + LEVEL) / 2)) if quantile is None else quantile) ** 2
    centre = (value + z2 / (2 * num)) / (1 + z2 / num)
    half = math.sqrt(z2 * (value * (1 - value) / num + z2 / (4 * num**2))) / (1 + z2 / num)
    return Estimate(value, max(0.0, min(value, centre - half)), min(1.0, max(value, centre + half)))


def clustered_share(outcomes: Sequence[bool], clusters: Sequence[Hashable]) -> Estimate:
    """Share of true outcomes; the interval allows for outcomes of one cluster (prompt) being alike.

    The variance between clusters (of a ratio of sums, as clusters may differ in size) gives the number
    of independent images that would be as uncertain; Wilson's interval at that number keeps to [0, 1]
    and does not collapse where everything is right. Few clusters widen it through Student's t.
    """
    if not outcomes or len(outcomes) != len(clusters):
        raise ValueError(f"expected a cluster for each outcome, got {len(clusters)} and {len(outcomes)}")
    value = float(np.mean(outcomes))
    residuals: dict[Hashable, float] = {}
    for outcome, cluster in zip(outcomes, clusters, strict=True):
        residuals[cluster] = residuals.get(cluster, 0.0) + (outcome - value)
    num, num_clusters = len(outcomes), len(residuals)
    if num_clusters == 1 or value in (0.0, 1.0):  # nothing tells how alike the images of a prompt are
        return wilson(value, num_clusters)
    variance = num_clusters / (num_clusters - 1) * sum(r**2 for r in residuals.values()) / num**2
    effective = min(num, value * (1 - value) / variance) if variance > 0 else num
    # clusters that do not differ at all (half of each right) leave the images as the only source of noise
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, num_clusters - 1)) if variance > 0 else None
    return wilson(value, effective, quantile)


def mean_of_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Unweighted mean of independent estimates; interval arms add as variances do (MOVER, Zou & Donner)."""
    num = len(estimates)
    value = sum(one.value for one in estimates) / num
    down = math.sqrt(sum((one.value - one.low) ** 2 for one in estimates)) / num
    up = math.sqrt(sum((one.high - one.value) ** 2 for one in estimates)) / num
    return Estimate(value, value - down, value + up)


def difference_of_estimates(first: Estimate, second: Estimate) -> Estimate:
    """Second minus first, independent of each other; interval arms add as variances do (MOVER)."""
    value = second.value - first.value
    down = math.hypot(second.value - second.low, first.high - first.value)
    up = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(value, value - down, value + up)


def bootstrap_mean(
    values: Sequence[float] | np.ndarray, *, num_resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Mean of independent values with a percentile bootstrap interval."""
    array = np.asarray(values, np.float64)
    rng = np.random.default_rng(seed)
    means = [array[rng.integers(0, len(array), len(array))].mean() for _ in range(num_resamples)]
    low, high = np.quantile(means, bootstrap_levels(len(array)))
    return Estimate(float(array.mean()), float(low), float(high))


def bootstrap_levels(num: int) -> tuple[float, float]:
    """Quantiles of a bootstrap distribution between which the interval lies.

    Resamples of `num` items vary too little, by sqrt((num - 1) / num) and as Student's t does from the
    normal distribution; the expanded percentiles (Hesterberg 2015, section 5.3) allow for both.
    """
    outer = (1 - LEVEL) / 2
    if num > 1:
        outer = float(stats.norm.cdf(math.sqrt(num / (num - 1)) * stats.t.ppf(outer, num - 1)))
    return outer, 1 - outer


def median_of(values: Sequence[float] | np.ndarray) -> Estimate:
    """Median with the interval between two order statistics, whatever the distribution.

    The interval is the narrowest symmetric one that holds the median with 95 % or more; of fewer than six
    values it is their range, which says less.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    outer = max(0, int(stats.binom.ppf((1 - LEVEL) / 2, len(ordered), 0.5)) - 1)
    return Estimate(float(np.median(ordered)), float(ordered[outer]), float(ordered[-1 - outer]))
