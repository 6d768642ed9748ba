"""GenEval's numbers, worked by hand."""

from __future__ import annotations

import pytest

from evaluation.geneval.summary import Outcome, geneval_metrics, geneval_table
from evaluation.intervals import clustered_share, mean_of_estimates

OUTCOMES = [
    *(Outcome("counting", "7", ok) for ok in (True, False, False, False)),
    *(Outcome("counting", "8", ok) for ok in (False, False, False, False)),
    *(Outcome("single_object", "1", ok) for ok in (True, True)),
]


def values() -> dict[str, float]:
    return {m.id.split("]/")[1]: m.value for m in geneval_metrics(OUTCOMES, knobs="det=d,clip=c")}


def test_overall_is_the_unweighted_mean_of_tasks() -> None:
    assert values() == {
        "overall": pytest.approx((1 + 1 / 8) / 2),
        "single_object": 1.0,
        "counting": 1 / 8,
        "images": 3 / 10,
        "prompts": pytest.approx(2 / 3),
    }


def test_ids_carry_the_knobs_and_notes_stay() -> None:
    metrics = geneval_metrics(OUTCOMES, knobs="det=d,clip=c", note="a stand-in")
    assert metrics[0].id == "geneval[det=d,clip=c,prompts=3,images=10]/overall"
    assert {m.note for m in metrics} == {"a stand-in"}
    assert [m.n for m in metrics] == [10, 2, 8, 10, 3]


def test_intervals_are_clustered_by_prompt() -> None:
    overall, single, counting, images, prompts = geneval_metrics(OUTCOMES, knobs="")
    by_hand = clustered_share([one.correct for one in OUTCOMES[:8]], [one.prompt_id for one in OUTCOMES[:8]])
    assert counting.ci95 == (by_hand.low, by_hand.high)
    alone = clustered_share([True, True], ["1", "1"])
    assert overall.ci95 == tuple(mean_of_estimates([alone, by_hand]))[1:]
    for metric in (overall, single, counting, images, prompts):
        assert metric.ci95 is not None
        assert metric.ci95[0] <= metric.value <= metric.ci95[1]


def test_the_table_has_a_row_per_task_in_the_published_order() -> None:
    rows = geneval_table(OUTCOMES).rows
    assert [row[:4] for row in rows] == [("single_object", 2, 2, 100.0), ("counting", 8, 1, 12.5)]
