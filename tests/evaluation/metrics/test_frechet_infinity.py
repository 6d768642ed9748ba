"""The limit of infinitely many images: bias gone, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.metrics.frechet import FeatureStatistics, frechet_distance_to
from evaluation.metrics.frechet_infinity import frechet_infinity

WIDTH = 12
STANDARD_NORMAL = FeatureStatistics(2, np.zeros(WIDTH), np.eye(WIDTH))


def from_standard_normal(features_ND: np.ndarray) -> float:
    return frechet_distance_to(STANDARD_NORMAL, features_ND)


def draws(num: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, WIDTH))


def test_the_limit_of_one_distribution_is_zero_where_finite_sets_are_biased() -> None:
    """E[FD_N] to the exact moments is (d + d (d + 1) / 4) / N."""
    num = 600
    biased, limits = [], []
    for seed in range(12):
        x = draws(num, seed)
        biased.append(from_standard_normal(x))
        limits.append(frechet_infinity(x, from_standard_normal).value)
    bias = (WIDTH + WIDTH * (WIDTH + 1) / 4) / num
    assert np.mean(biased) == pytest.approx(bias, rel=0.15)
    assert abs(np.mean(limits)) < 0.15 * bias


def test_a_shift_remains() -> None:
    found = frechet_infinity(draws(2000, 0) + 0.5, from_standard_normal)
    assert found.value == pytest.approx(WIDTH / 4, rel=0.1)
    assert found.low < found.value < found.high


def test_it_depends_on_its_seed_alone() -> None:
    x = draws(200, 0)
    assert frechet_infinity(x, from_standard_normal, seed=3) == frechet_infinity(
        x, from_standard_normal, seed=3
    )
    assert frechet_infinity(x, from_standard_normal, seed=3) != frechet_infinity(
        x, from_standard_normal, seed=4
    )


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 images, got 19"):
        frechet_infinity(draws(19, 0), from_standard_normal)
