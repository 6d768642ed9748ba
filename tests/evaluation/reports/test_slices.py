from __future__ import annotations

import pytest

from evaluation.intervals import clustered_share
from evaluation.reports.runs import load_runs
from evaluation.reports.slices import failure_kinds, forests_of_slices
from tests.evaluation.reports.synthetic import write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    return load_runs([write_run(tmp_path_factory.mktemp("run"), size=8)])[0]


def test_slices_are_means_with_intervals_by_prompt(run) -> None:
    forests = {forest.title: forest for forest in forests_of_slices([run])}
    rows = {row.label: row.bars[0] for row in forests["GenEval, by kind of prompt"].rows}
    judged = [one for _, one in run.verdicts if one.task == "geneval"]
    own = [one for one in judged if one.groups["kind of prompt"] == "counting"]
    share = clustered_share([bool(one.correct) for one in own], [one.prompt for one in own])
    bar = rows["counting"]
    assert (bar.dot, bar.left, bar.width) == pytest.approx(
        (100 * share.value, 100 * share.low, 100 * (share.high - share.low))
    )
    assert bar.count == f"{len(own)} images"
    assert [row.label for row in forests["GenEval, by aspect ratio"].rows] == ["0.5", "1"]


def test_slices_that_are_shown_elsewhere_are_left_out(run) -> None:
    titles = [forest.title for forest in forests_of_slices([run], without=[("geneval", "aspect ratio")])]
    assert "GenEval, by aspect ratio" not in titles
    assert "Caption cosine of embedded encoders, by aspect ratio" in titles


def test_failures_are_counted_per_run_and_task(run) -> None:
    (found,) = failure_kinds([run, run])
    wrong = sum(one.correct is False for _, one in run.verdicts)
    assert found.num_images == (24, 24)
    assert [sum(counts) for counts in zip(*(counts for _, counts in found.kinds), strict=True)] == [wrong] * 2
    totals = [sum(counts) for _, counts in found.kinds]
    assert totals == sorted(totals, reverse=True)
    assert failure_kinds([run], without=["geneval"]) == ()
