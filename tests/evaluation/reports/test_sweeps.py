from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.reports.html import shade
from evaluation.reports.rows import metric_rows
from evaluation.reports.runs import EvaluatedRun, load_runs
from evaluation.reports.sweeps import is_sweep, pareto_front, sweeps, trade_off
from evaluation.results import MetricValue
from tests.evaluation.reports.synthetic import GENEVAL, write_run, write_sweep

FRECHET = "frechet[effnet-lite0@128,uint8,N=24,ref=x]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[EvaluatedRun]:
    return load_runs(write_sweep(tmp_path_factory.mktemp("sweep"), num_prompts=3, size=4))


def values(direction: str, *numbers: float) -> list[MetricValue]:
    return [MetricValue(id="m", value=number, direction=direction, n=1) for number in numbers]


def test_cells_hold_the_metric_of_their_settings(runs) -> None:
    (sweep,) = sweeps(runs, [f"{GENEVAL}/overall"])
    assert (sweep.rows, sweep.columns) == (("2", "4"), ("0.5", "1"))
    by_setting = {(run.setting["guidance"], run.setting["temperature"]): run.result for run in runs}
    for row, cells in zip(sweep.rows, sweep.cells, strict=True):
        for column, metric in zip(sweep.columns, cells, strict=True):
            assert metric == by_setting[row, column][f"{GENEVAL}/overall"]


def test_settings_that_were_not_run_are_empty(runs) -> None:
    (sweep,) = sweeps(runs[:3], [FRECHET])
    assert sweep.cells[1][1] is None


def test_runs_of_other_weights_or_the_same_settings_are_no_sweep(runs) -> None:
    assert is_sweep(runs)
    assert not is_sweep(runs[:1])
    assert not is_sweep([runs[0], runs[0]])
    provenance = replace(runs[1].result.provenance, checkpoints={"transformer": "other"})
    other = replace(runs[1], result=replace(runs[1].result, provenance=provenance))
    assert not is_sweep([runs[0], other])
    assert sweeps([runs[0], other], [FRECHET]) == ()


def test_settings_are_read_per_scale_and_from_both_kinds_of_runs(runs, tmp_path: Path) -> None:
    (one,) = load_runs([write_run(tmp_path / "run", num_prompts=1, size=4)])
    assert one.setting == {"guidance": "3", "temperature": "1,0.5"}
    config = {"guidance": None, "temperature": 0.0, "sampling": {"guidance": 2.5, "temperature": 1.0}}
    own = replace(one, result=replace(one.result, config=config))
    assert own.setting == {"guidance": "2.5", "temperature": "0"}


def test_the_front_holds_what_nothing_beats() -> None:
    low, high = values("lower", 10, 12, 20, 10), values("higher", 0.5, 0.7, 0.6, 0.4)
    assert pareto_front(low, high) == {0, 1}
    assert pareto_front(high, high) == {1}


def test_the_trade_off_is_of_metrics_with_opposite_directions(runs) -> None:
    chart = trade_off(runs, [f"{GENEVAL}/overall", f"{GENEVAL}/counting", FRECHET])
    assert "Fréchet distance ↓ over GenEval, overall ↑" in chart
    assert chart.count("<circle") == 4
    assert trade_off(runs, [FRECHET]) == ""


def test_shades_go_from_the_worst_to_the_best() -> None:
    assert [shade(one, values("higher", 1, 2, 3)) for one in values("higher", 1, 2, 3)] == [0, 0.5, 1]
    assert [shade(one, values("lower", 1, 3)) for one in values("lower", 1, 3)] == [1, 0]
    assert shade(values("higher", 1)[0], values("higher", 1)) == 0.5


def test_baselines_and_what_no_setting_changes_are_not_swept_or_best(runs) -> None:
    same, chance = "psnr[64px]", "shapeseval[basic,64px,verifier=1,shuffled_prompts]/id/overall"
    others = [
        replace(
            run,
            result=replace(
                run.result,
                metrics=(
                    *run.result.metrics,
                    MetricValue(id=same, value=30.0, direction="higher", n=9),
                    MetricValue(id=chance, value=0.1 * number, direction="higher", n=9),
                ),
            ),
        )
        for number, run in enumerate(runs)
    ]
    assert sweeps(others, [same, chance]) == ()
    assert trade_off(others, [same, chance, FRECHET]) == ""
    rows = metric_rows({run.name: run.result for run in others}, [same, chance, FRECHET])
    assert [sum(cell.is_best for cell in row.cells) for row in rows] == [0, 0, 1]
