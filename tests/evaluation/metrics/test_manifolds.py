"""Precision, recall, density and coverage: by hand, by definition, and as torch-fidelity has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_fidelity.metric_prc import prc_features_to_metric

from evaluation.metrics import manifolds
from evaluation.metrics.manifolds import compare_manifolds


def features(num: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(loc=shift, size=(num, 6)).astype(np.float32)


def test_a_set_and_itself_are_precise_recalled_and_covered() -> None:
    x = features(40, 0)
    found = compare_manifolds(x, x)
    assert found.precise.all()
    assert found.recalled.all()
    assert found.covered.all()


def test_sets_far_apart_share_nothing() -> None:
    found = compare_manifolds(features(40, 0), features(30, 1, shift=100))
    assert not any(verdicts.any() for verdicts in found)


def test_points_on_a_line_are_worked_out_by_hand() -> None:
    """References 0, 1, 5: nearest neighbours at 1, 1, 4. Generated 2 and 11: at 9 from each other."""
    found = compare_manifolds(np.array([[2.0], [11.0]]), np.array([[0.0], [1.0], [5.0]]), k=1, density_k=1)
    np.testing.assert_array_equal(found.precise, [True, False])  # 2 lies on the border of 1's ball, in 5's
    np.testing.assert_array_equal(found.recalled, [True, True, True])
    np.testing.assert_array_equal(found.density, [1, 0])  # the border does not count
    np.testing.assert_array_equal(found.covered, [False, False, True])


def test_borders_count_for_precision_and_recall_alone() -> None:
    """References' balls have radius 1 and generated images' 2: 2 lies on that of 1, and 0 on that of 2."""
    references = np.array([[0.0], [1.0], [19.0], [20.0]])
    found = compare_manifolds(np.array([[2.0], [4.0]]), references, k=1, density_k=1)
    np.testing.assert_array_equal(found.precise, [True, False])
    np.testing.assert_array_equal(found.recalled, [True, True, False, False])
    assert not found.density.any()
    assert not found.covered.any()


@pytest.mark.parametrize("block", [2**25, 200], ids=["at once", "in blocks"])
def test_it_agrees_with_torch_fidelity(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifolds, "_BLOCK_VALUES", block)
    generated, references = features(70, 0), features(90, 1, shift=0.6)
    theirs = prc_features_to_metric(torch.from_numpy(generated), torch.from_numpy(references))
    ours = compare_manifolds(generated, references)
    assert ours.precise.mean() == pytest.approx(theirs["precision"], rel=1e-6)
    assert ours.recalled.mean() == pytest.approx(theirs["recall"], rel=1e-6)
    assert 0 < ours.precise.mean() < 1
    assert 0 < ours.recalled.mean() < 1


@pytest.mark.parametrize("block", [2**25, 200], ids=["at once", "in blocks"])
def test_density_and_coverage_are_as_defined(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifolds, "_BLOCK_VALUES", block)
    generated, references = (x.astype(np.float64) for x in (features(70, 0), features(90, 1, shift=0.6)))
    across = np.linalg.norm(references[:, None] - generated, axis=-1)
    radius = np.sort(np.linalg.norm(references[:, None] - references, axis=-1))[:, 5]
    found = compare_manifolds(generated, references)
    np.testing.assert_allclose(found.density, (across < radius[:, None]).sum(axis=0) / 5)
    np.testing.assert_array_equal(found.covered, across.min(axis=1) < radius)


def test_features_far_from_zero_lose_no_digits() -> None:
    generated, references = features(70, 0), features(90, 1, shift=0.6)
    near, far = compare_manifolds(generated, references), compare_manifolds(generated + 512, references + 512)
    for one, other in zip(near, far, strict=True):
        assert np.mean(one == other) > 0.98


def test_more_neighbours_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="5 neighbours need more images of each kind, got 5"):
        compare_manifolds(features(5, 0), features(50, 1))
