from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.reports.runs import load_runs
from evaluation.results import Result
from tests.evaluation.reports.synthetic import write_run


def test_runs_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name / "report", num_prompts=1, size=4) for name in ("a", "b")]
    assert [run.name for run in load_runs(paths)] == ["a/report", "b/report"]


def test_results_that_measure_different_things_are_of_one_model(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, num_prompts=3, size=4) for name in ("a", "b")]
    for path, part in zip(paths, (slice(0, 2), slice(2, None)), strict=True):
        result = Result.load(path)
        fields = result.to_dict() | {"tables": {}}
        Result.from_dict(fields | {"metrics": fields["metrics"][part]}).save(path)
    (run,) = load_runs(paths)
    assert run.name == "a + b"
    assert len(run.result.metrics) == 6
    assert {folder for folder, _ in run.verdicts} == set(paths)


def test_one_run_twice_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", num_prompts=1, size=4)
    with pytest.raises(ValueError, match="a report needs different runs, got one of them twice"):
        load_runs([path, path])
