from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.reports.content import ReportContent
from evaluation.reports.facts import all_caveats
from evaluation.reports.runs import load_runs
from evaluation.results import MetricValue, Result
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


def test_results_whose_tables_have_one_name_are_merged_with_both_and_all_caveats(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, num_prompts=3, size=4) for name in ("a", "b")]
    for path, part in zip(paths, (slice(0, 2), slice(2, None)), strict=True):
        fields = Result.load(path).to_dict()
        config = fields["config"] | {"caveats": [f"Something of {path.name}."]}
        Result.from_dict(fields | {"metrics": fields["metrics"][part], "config": config}).save(path)
    (run,) = load_runs(paths)
    assert {"Wall time, a", "Wall time, b"} <= run.result.tables.keys()
    caveats = all_caveats({run.name: run.result}, ReportContent(title="x"))
    assert caveats[:2] == ["Something of a.", "Something of b."]


def test_results_of_different_weights_are_not_taken_for_one_model(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, num_prompts=3, size=4) for name in ("a", "b")]
    for path, part in zip(paths, (slice(0, 2), slice(2, None)), strict=True):
        fields = Result.load(path).to_dict()
        fields["provenance"]["checkpoints"] = {"transformer": path.name}
        Result.from_dict(fields | {"metrics": fields["metrics"][part]}).save(path)
    assert [run.name for run in load_runs(paths)] == ["a", "b"]


def test_a_caveat_of_some_runs_names_them(tmp_path: Path) -> None:
    runs = load_runs([write_run(tmp_path / name, num_prompts=1, size=4) for name in ("a", "b")])
    config = runs[1].result.config
    other = replace(runs[1].result, config={**config, "caveats": [*config["caveats"], "One more."]})
    caveats = all_caveats({"a": runs[0].result, "b": other}, ReportContent(title="x"))
    assert caveats[:2] == [*config["caveats"], "b: One more."]


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", num_prompts=1, size=4)
    text = (path / "result.json").read_text()
    (path / "result.json").write_text(re.sub(r'"value": [\d.]+', '"value": NaN', text, count=1))
    with pytest.raises(ValueError, match=r"run has no finite value for geneval\[.*; score it again"):
        load_runs([path])


def test_a_run_that_failed_is_named(tmp_path: Path) -> None:
    paths = [write_run(tmp_path / name, num_prompts=1, size=4) for name in ("a", "b")]
    (paths[1] / "result.json").unlink()
    with pytest.raises(ValueError, match=r"no result\.json in .*/b"):
        load_runs(paths)


def test_a_note_of_several_parts_of_a_metric_is_said_once(tmp_path: Path) -> None:
    (run,) = load_runs([write_run(tmp_path / "run", num_prompts=1, size=4)])
    notes = {"kid[a]": "", "fid[b]/x": "all", "fid[b]/y": "all", "is[c]/x": "some", "is[c]/y": "", "d": "own"}
    metrics = [
        MetricValue(id=name, value=1, direction="none", n=1, note=note) for name, note in notes.items()
    ]
    result = replace(run.result, metrics=tuple(metrics), config={})
    caveats = all_caveats({"run": result}, ReportContent(title="x"))
    assert caveats == ["fid[b]: all", "is[c] (x): some", "d: own"]


@pytest.mark.parametrize(
    ("file", "word", "other"),
    [
        ("samples.jsonl", '"correct": true', '"correct": 5'),
        ("samples.jsonl", '"tasks": {', '"index": null, "tasks": {'),
        ("samples.jsonl", '"detections": [', '"detections": 5, "x": ['),
        ("result.json", '"direction": "higher"', '"direction": "up"'),
        ("result.json", '"name": "run"', '"name": null'),
        ("result.json", '"n": 2212', '"n": "many"'),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, file: str, word: str, other: str) -> None:
    path = write_run(tmp_path / "run", num_prompts=1, size=4, share=1) / file
    assert word in path.read_text()
    path.write_text(path.read_text().replace(word, other))
    with pytest.raises(SystemExit, match=rf"error: .*/run/{file} is no .*; make it again"):
        main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "page")])
