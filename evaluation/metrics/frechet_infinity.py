"""Fréchet distance at infinitely many images (FID-infinity, arXiv 1911.07023)."""

from __future__ import annotations

import numpy as np
from scipy import stats

from evaluation.intervals import LEVEL, Estimate
from evaluation.metrics.frechet import FeatureStatistics, frechet_distance_of_moments

__all__ = ["NUM_POINTS", "frechet_infinity"]

NUM_POINTS = 15
_FEWEST = 5000


def frechet_infinity(features_ND: np.ndarray, reference: FeatureStatistics, *, seed: int = 0) -> Estimate:
    """The intercept of the line through distances of random subsets over 1 / size, as dgm-eval fits it.

    Its 15 sizes go from a tenth of the images (5000 at most) to all of them. The interval is the fit's; as
    subsets share images, it is a little narrow.
    """
    num = len(features_ND)
    sizes = np.linspace(min(_FEWEST, num // 10), num, NUM_POINTS).astype(int)
    if sizes[0] < 2:
        raise ValueError(f"FID-infinity needs at least 20 images, got {num}")
    rng = np.random.default_rng(seed)
    distances = [
        frechet_distance_of_moments(
            reference, FeatureStatistics.of(features_ND[rng.choice(num, size, replace=False)])
        )
        for size in sizes
    ]
    line = stats.linregress(1 / sizes, distances)
    half = float(stats.t.ppf((1 + LEVEL) / 2, NUM_POINTS - 2) * line.intercept_stderr)
    return Estimate(float(line.intercept), float(line.intercept) - half, float(line.intercept) + half)
