"""Masks as run lengths."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.geneval.detections import mask_to_runs
from tests.evaluation.geneval.conftest import runs_to_mask


def test_runs_go_down_the_columns_and_begin_with_zeros() -> None:
    mask = np.array([[0, 1, 1], [0, 1, 0]], bool)
    assert mask_to_runs(mask) == {"size": [2, 3], "counts": [2, 3, 1]}
    assert mask_to_runs(~mask) == {"size": [2, 3], "counts": [0, 2, 3, 1]}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_masks_come_back(share: float) -> None:
    mask = np.random.default_rng(0).random((7, 5)) < share
    np.testing.assert_array_equal(runs_to_mask(mask_to_runs(mask)), mask)
