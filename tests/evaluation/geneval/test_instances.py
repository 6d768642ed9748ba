"""From logits to instances."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evaluation.geneval.instances import box_of_mask, instances_of

NOTHING = -20.0


def rectangle(top: int, left: int, bottom: int, right: int, logit: float = 2.0) -> torch.Tensor:
    logits = torch.full((20, 30), NOTHING)
    logits[top:bottom, left:right] = logit
    return logits


def test_rectangles_of_logits_become_their_boxes() -> None:
    masks = [rectangle(3, 5, 11, 22), rectangle(0, 0, 20, 1)]
    class_logits = torch.tensor([[4.0, 0.0, 0.0], [0.0, 5.0, 0.0]])
    first, second = instances_of(class_logits, lambda query: masks[query], max_per_image=2)
    assert (first.label, first.box) == (1, (0.0, 0.0, 1.0, 20.0))
    assert (second.label, second.box) == (0, (5.0, 3.0, 22.0, 11.0))
    np.testing.assert_array_equal(second.mask_HW, (masks[0] > 0).numpy())


def test_a_score_is_the_class_times_the_mean_of_its_mask() -> None:
    mask = rectangle(0, 0, 10, 10, logit=1.0)
    mask[0, 0] = 3.0  # 99 pixels of one probability, one of another; those outside do not count
    (one,) = instances_of(torch.tensor([[2.0, 0.0, 1.0]]), lambda _: mask, max_per_image=1)
    mean = (99 * torch.tensor(1.0).sigmoid() + torch.tensor(3.0).sigmoid()) / 100
    probability = torch.tensor([2.0, 0.0, 1.0]).softmax(0)[0]
    assert one.score == pytest.approx(float(probability * mean), abs=1e-6)


def test_a_query_may_be_several_classes_and_the_best_pairs_count() -> None:
    asked: list[int] = []

    def mask_of(query: int) -> torch.Tensor:
        asked.append(query)
        return rectangle(0, 0, 5, 5)

    class_logits = torch.tensor([[3.0, 2.9, 0.0], [0.0, 0.0, 9.0]])
    found = instances_of(class_logits, mask_of, max_per_image=2)
    assert [one.label for one in found] == [0, 1]
    assert asked == [0]  # a mask is made once, and none for a query that is nothing


def test_faint_instances_are_left_out() -> None:
    class_logits = torch.tensor([[3.0, 0.0, 0.0]])
    everything = instances_of(class_logits, lambda _: rectangle(0, 0, 5, 5, logit=0.1))
    assert [round(one.score, 2) for one in everything] == [0.48, 0.02]
    assert not instances_of(class_logits, lambda _: rectangle(0, 0, 5, 5, logit=0.1), min_score=0.5)


def test_an_empty_mask_scores_nothing() -> None:
    (one, *_) = instances_of(torch.tensor([[3.0, 0.0]]), lambda _: torch.full((4, 4), -1.0), min_score=-1.0)
    assert (one.score, one.box) == (0.0, (0.0, 0.0, 0.0, 0.0))
    assert box_of_mask(np.zeros((3, 3), bool)) == (0.0, 0.0, 0.0, 0.0)
