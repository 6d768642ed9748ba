"""KID and CMMD: closed forms, the numbers of torch-fidelity and torchmetrics, coverage of the intervals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric
from torchmetrics.image.kid import poly_mmd

from evaluation.metrics import kernel_distances
from evaluation.metrics.kernel_distances import clip_mmd, kernel_distance


def features(num: int, seed: int, shift: float = 0.0, width: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).normal(loc=shift, size=(num, width)).astype(np.float32)


def test_kid_agrees_with_torch_fidelity_subset_by_subset() -> None:
    x, y = features(90, 0), features(70, 1, shift=0.3)
    theirs = kid_features_to_metric(
        torch.from_numpy(x).double(), torch.from_numpy(y).double(), kid_subsets=9, kid_subset_size=50
    )
    ours = kernel_distance(x, y, num_subsets=9, subset_size=50)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


def test_kid_agrees_with_torchmetrics_on_whole_sets() -> None:
    x, y = features(60, 0), features(60, 1, shift=0.3)
    theirs = poly_mmd(torch.from_numpy(x).double(), torch.from_numpy(y).double())
    assert kernel_distance(x, y, num_subsets=1).value == pytest.approx(float(theirs), rel=1e-9)


def test_kid_of_two_points_each_is_worked_out_by_hand() -> None:
    x, y = np.array([[1.0], [1.0]]), np.array([[-1.0], [-1.0]])
    assert kernel_distance(x, y).value == pytest.approx(8 + 8 - 2 * 0)  # (1 + 1)^3 within, (-1 + 1)^3 across


def test_kid_is_unbiased_and_so_sometimes_negative() -> None:
    values = [
        kernel_distance(features(40, 2 * seed), features(40, 2 * seed + 1), num_subsets=1).value
        for seed in range(300)
    ]
    assert min(values) < 0
    assert abs(np.mean(values)) < 3 * np.std(values) / 300**0.5


def test_small_sets_are_subsets_themselves_and_have_no_interval() -> None:
    found = kernel_distance(features(30, 0), features(50, 1))
    assert (found.num_subsets, found.subset_size, found.ci95) == (100, 30, None)
    assert kernel_distance(features(30, 0), features(30, 1)).num_subsets == 1  # all would be the same


def test_kids_interval_covers() -> None:
    """The limit for N(0, I) and N(b, I) follows from the moments of x . y; 95 % of intervals hold it."""
    width, square = 4, 4 * 0.5**2  # of b
    across = 1 + 3 * (width + square) / width**2
    third = square**3 + 6 * square**2 + 3 * width * square + 6 * square
    within = 1 + 3 * square / width + 3 * (width + 2 * square + square**2) / width**2 + third / width**3
    truth = 1 + 3 / width + within - 2 * across
    hits = []
    for seed in range(100):
        a, b = features(200, 2 * seed, width=width), features(200, 2 * seed + 1, shift=0.5, width=width)
        low, high = kernel_distance(a, b, num_subsets=20, subset_size=20, seed=seed).ci95 or (0, 0)
        hits.append(low <= truth <= high)
    assert 0.88 <= np.mean(hits) <= 0.99


@pytest.mark.parametrize("angle", [0.01, 1.0, 3.0])
def test_cmmd_of_point_masses_has_a_closed_form(angle: float) -> None:
    x = np.tile([2.0, 0.0], (5, 1))  # lengths do not matter
    y = np.tile([np.cos(angle), np.sin(angle)], (9, 1))
    square = (2 * np.sin(angle / 2)) ** 2
    assert clip_mmd(x, y).value == pytest.approx(1000 * (2 - 2 * np.exp(-square / 200)), rel=1e-9)


def test_cmmd_is_that_of_whole_kernel_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_distances, "_BLOCK_VALUES", 100)
    x, y = features(30, 0).astype(np.float64), features(20, 1, shift=0.5).astype(np.float64)

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> float:
        a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (a, b))
        return float(np.exp(-np.square(a[:, None] - b).sum(-1) / 200).mean())

    expected = 1000 * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y))
    assert clip_mmd(x, y).value == pytest.approx(expected, rel=1e-9)
    assert clip_mmd(x, x).value == pytest.approx(0, abs=1e-12)


def test_cmmds_interval_covers() -> None:
    found = [clip_mmd(features(80, 2 * s), features(80, 2 * s + 1, shift=0.5)) for s in range(300)]
    truth = np.mean([one.value for one in found])
    hits = np.mean([one.low <= truth <= one.high for one in found])
    assert 0.91 <= hits <= 0.99
