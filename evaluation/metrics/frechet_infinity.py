"""Fréchet distance at infinitely many images (FID-infinity, arXiv 1911.07023)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from evaluation.intervals import LEVEL, Estimate

__all__ = ["FEWEST_IMAGES", "frechet_infinity", "smallest_subset"]

FEWEST_IMAGES = 20
_NUM_POINTS = 15
_LARGEST_START = 5000


def frechet_infinity(
    features_ND: np.ndarray, distance: Callable[[np.ndarray], float], *, seed: int = 0
) -> Estimate:
    """The intercept of the line through distances of random subsets over 1 / size, as dgm-eval fits it.

    Its 15 sizes go from a tenth of the images (5000 at most) to all of them. The interval is the fit's; as
    subsets share images, it is a little narrow.

    Args:
        distance: of a subset (n, D) from the reference.
    """
    num = len(features_ND)
    sizes = np.linspace(smallest_subset(num), num, _NUM_POINTS).astype(int)
    if num < FEWEST_IMAGES:
        raise ValueError(f"FID-infinity needs at least {FEWEST_IMAGES} images, got {num}")
    rng = np.random.default_rng(seed)
    distances = [distance(features_ND[rng.choice(num, size, replace=False)]) for size in sizes]
    line = stats.linregress(1 / sizes, distances)
    half = float(stats.t.ppf((1 + LEVEL) / 2, _NUM_POINTS - 2) * line.intercept_stderr)
    return Estimate(float(line.intercept), float(line.intercept) - half, float(line.intercept) + half)


def smallest_subset(num: int) -> int:
    """Of the subsets of `num` images; with fewer images than features, distances leave the line."""
    return min(_LARGEST_START, num // 10)
