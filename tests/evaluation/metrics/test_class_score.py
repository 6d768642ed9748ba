"""Class scores: closed forms, and the numbers of torch-fidelity and torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch_fidelity.metric_isc import isc_features_to_metric
from torchmetrics.image.inception import InceptionScore

from evaluation.metrics.class_score import class_score


def logits(num: int = 203, classes: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(scale=2, size=(num, classes))


def test_sure_and_balanced_over_k_classes_is_k() -> None:
    balanced = np.tile(np.eye(7) * 1e4, (5, 1))
    assert class_score(balanced, num_splits=1).value == pytest.approx(7, rel=1e-12)


def test_images_that_all_look_alike_score_one() -> None:
    assert class_score(np.tile(logits(1), (40, 1))).value == pytest.approx(1, rel=1e-12)


def test_it_agrees_with_torch_fidelity_shuffle_splits_and_all() -> None:
    theirs = isc_features_to_metric(torch.from_numpy(logits()))
    ours = class_score(logits())
    assert ours.value == pytest.approx(theirs["inception_score_mean"], rel=1e-10)


def test_it_agrees_with_torchmetrics() -> None:
    metric = InceptionScore(feature=nn.Identity(), splits=1)
    metric.update(torch.from_numpy(logits()))
    assert class_score(logits(), num_splits=1).value == pytest.approx(float(metric.compute()[0]), rel=1e-6)


def test_the_interval_is_of_the_splits_mean() -> None:
    theirs = isc_features_to_metric(torch.from_numpy(logits()))
    found = class_score(logits())
    error = theirs["inception_score_std"] / 3  # a standard deviation over 10 becomes one over 9, over root 10
    assert found.high - found.low == pytest.approx(2 * 2.262157 * error, rel=1e-6)
    assert found.value == pytest.approx((found.low + found.high) / 2)


def test_more_splits_than_images_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 3 splits of 3 images, got 10"):
        class_score(logits(3))
