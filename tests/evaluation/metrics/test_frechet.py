from __future__ import annotations

import functools

import numpy as np
import pytest
import scipy.linalg
import torch
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from evaluation.metrics.frechet import (
    FeatureStatistics,
    RunningFrechet,
    frechet_distance,
    frechet_distance_of_moments,
    frechet_distance_to,
)

rng = functools.partial(np.random.default_rng, 0)


def features(num: int, width: int, seed: int = 0) -> np.ndarray:
    """Correlated features with a mean."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, width)) @ rng.normal(size=(width, width)) + rng.normal(size=width)


def moments(num: int, mean: np.ndarray, covariance: np.ndarray) -> FeatureStatistics:
    return FeatureStatistics(num, mean, covariance * (num - 1))


def test_commuting_covariances_have_a_closed_form() -> None:
    rotation = scipy.linalg.qr(rng().normal(size=(16, 16)))[0]
    a, b = rng().uniform(0, 3, size=(2, 16))
    mean, other_mean = rng().normal(size=(2, 16))
    one = moments(100, mean, (rotation * a) @ rotation.T)
    other = moments(100, other_mean, (rotation * b) @ rotation.T)
    expected = np.square(mean - other_mean).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    assert frechet_distance_of_moments(one, other) == pytest.approx(expected, rel=1e-10)


def test_one_feature_has_a_closed_form() -> None:
    x, y = features(50, 1), features(70, 1, seed=1)
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("num", "width"), [(200, 24), (20, 64)], ids=["N > D", "N < D"])
def test_distance_to_itself_is_zero_and_to_a_shifted_copy_the_shift(num: int, width: int) -> None:
    x = features(num, width)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(x, x + 0.5) == pytest.approx(0.25 * width, rel=1e-8)


def test_two_samples_have_a_closed_form() -> None:
    """Covariances u u^T / 2 and v v^T / 2 for differences u, v: the trace of the root is |u.v| / 2."""
    x, y = features(2, 8), features(2, 8, seed=1)
    u, v = x[0] - x[1], y[0] - y[1]
    expected = np.square(x.mean(0) - y.mean(0)).sum() + (u @ u + v @ v) / 2 - abs(u @ v)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-10)


def test_both_routes_agree_where_both_are_exact() -> None:
    x, y = features(60, 40), features(80, 40, seed=1)
    wide_x, wide_y = (np.pad(z, ((0, 0), (0, 100))) for z in (x, y))  # constant features change nothing
    assert frechet_distance(wide_x, wide_y) == pytest.approx(frechet_distance(x, y), rel=1e-10)


@pytest.mark.parametrize(("num", "rel"), [(100, 1e-10), (20, 1e-6)], ids=["N > D", "N < D"])
def test_distances_from_moments_are_those_of_moments_and_of_features(num: int, rel: float) -> None:
    """With few features the root of moments is rounding noise in part, hence another route."""
    x, y = features(num, 32), features(200, 32, seed=1)
    reference = FeatureStatistics.of(y)
    by_moments = frechet_distance_of_moments(reference, FeatureStatistics.of(x))
    assert frechet_distance_to(reference, x) == pytest.approx(by_moments, rel=rel)
    assert frechet_distance_to(reference, x) == pytest.approx(frechet_distance(x, y), rel=rel)


@pytest.mark.parametrize(("num", "rel"), [(300, 1e-8), (20, 1e-4)], ids=["N > D", "N < D: theirs is noisier"])
def test_it_agrees_with_torch_fidelity_and_torchmetrics(num: int, rel: float) -> None:
    x, y = features(num, 32), features(num + 10, 32, seed=1)
    ours = frechet_distance(x, y)
    statistics = [{"mu": z.mean(0), "sigma": np.cov(z, rowvar=False)} for z in (x, y)]
    theirs = fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=rel)
    tensors = [torch.from_numpy(value) for s in statistics for value in (s["mu"], s["sigma"])]
    assert ours == pytest.approx(float(_compute_fid(*tensors)), rel=rel)


def test_statistics_of_parts_add_up_to_those_of_the_whole() -> None:
    x = features(90, 12)
    whole = FeatureStatistics.of(x)
    parts = FeatureStatistics.of(x[:7]) + FeatureStatistics.of(x[7:50]) + FeatureStatistics.of(x[50:])
    assert parts.num == 90
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.covariance, np.cov(x, rowvar=False), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("num", "width"), [(90, 12), (20, 32)], ids=["N > D", "N < D"])
def test_a_distance_of_batches_is_that_of_the_whole(num: int, width: int) -> None:
    x, y = features(num, width), features(num, width, seed=1)
    running = RunningFrechet()
    for batch in np.split(np.arange(num), [7, 16]):
        running.add(x[batch], y[batch])
    assert running.distance() == pytest.approx(frechet_distance(x, y), rel=1e-10)
    running.add(x[:4], y[:4])  # asking for it ends nothing
    expected = frechet_distance(np.concatenate([x, x[:4]]), np.concatenate([y, y[:4]]))
    assert running.distance() == pytest.approx(expected, rel=1e-10)


def test_no_more_features_than_their_width_are_kept() -> None:
    x, y = features(95, 12), features(95, 12, seed=1)
    running = RunningFrechet()
    for batch in np.split(np.arange(95), 19):
        running.add(x[batch], y[batch])
        assert sum(map(len, running._whole[0])) < 12


def test_two_sets_grow_alike() -> None:
    with pytest.raises(ValueError, match=r"one shape, got \(3, 4\) and \(2, 4\)"):
        RunningFrechet().add(features(3, 4), features(2, 4))


def test_bias_follows_one_over_n() -> None:
    """E[FD] of two N-samples of one normal distribution ~ (2 d + d (d + 1) / 2) / N."""
    width, num = 24, 2000
    values = []
    for seed in range(8):
        x, y = np.random.default_rng(seed).normal(size=(2, num, width))
        values.append(frechet_distance(x, y))
    assert np.mean(values) == pytest.approx((2 * width + width * (width + 1) / 2) / num, rel=0.1)


def test_features_of_different_width_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in width"):
        frechet_distance(features(10, 3), features(10, 4))
    with pytest.raises(ValueError, match="N >= 2"):
        frechet_distance(features(1, 3), features(10, 3))
