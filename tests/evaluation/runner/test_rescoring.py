"""A score that would come out the same is not made again, and any other is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation import provenance
from evaluation.__main__ import main
from evaluation.results import Result
from evaluation.runner import inputs
from evaluation.runner.inputs import data_fingerprint
from evaluation.tasks.registry import TASKS


@pytest.fixture
def again(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., set[str]]:
    """Run; the tasks that were scored by it."""
    (tmp_path / "scale.txt").write_text("2")
    words = ["--model", str(model), "--tasks", "brightness,scaled,size", "--limit", "1"]
    words += ["--output", str(tmp_path / "out"), "--weights", f"scale={tmp_path / 'scale.txt'}"]

    def times() -> dict[str, int]:
        return {path.stem: path.stat().st_mtime_ns for path in (tmp_path / "out" / "scores").glob("*.json")}

    def run(*more: str) -> set[str]:
        before = times()
        main(["run", *words, *more])
        scored = {name for name, time in times().items() if before.get(name) != time}
        kept = [name for name in ("brightness", "scaled", "size") if name not in scored]
        assert (f"has changed: {', '.join(kept)} (see" in capsys.readouterr().out) == bool(kept)
        return scored

    return run


def test_scores_are_kept_while_nothing_changes_and_made_again_on_demand(
    again: Callable[..., set[str]], tmp_path: Path
) -> None:
    assert again() == {"brightness", "scaled", "size"}
    first = Result.load(tmp_path / "out")
    assert again() == set()
    second = Result.load(tmp_path / "out")
    assert second.metrics == first.metrics
    assert second.tables["Wall time"] == first.tables["Wall time"]
    assert second.provenance.checkpoints == first.provenance.checkpoints
    assert again("--rescore") == {"brightness", "scaled", "size"}


def test_other_weights_are_scored_with(again: Callable[..., set[str]], tmp_path: Path) -> None:
    again()
    before = Result.load(tmp_path / "out")["scaled_brightness"].value
    (tmp_path / "scale.txt").write_text("3")
    assert again() == {"scaled"}
    assert Result.load(tmp_path / "out")["scaled_brightness"].value == pytest.approx(1.5 * before)


def test_published_statistics_concern_the_tasks_of_these_features_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statistics = tmp_path / "statistics.npz"

    def scored() -> str:
        words = ["--limit", "1", "--weights", f"inception-statistics={statistics}"]
        main(["run", "--model", str(model), "--tasks", "brightness", "--output", str(tmp_path), *words])
        return json.loads((tmp_path / "scores" / "brightness.json").read_text())["inputs"]

    without = scored()  # nor is there such a file
    statistics.write_text("1")
    assert scored() == without
    entry = replace(TASKS["brightness"], options={"features": "inception"})
    monkeypatch.setitem(TASKS, "brightness", entry)
    first = scored()
    statistics.write_text("2")
    assert len({without, first, scored()}) == 3


def test_what_can_be_measured_with_and_without_the_model_is_told_apart(model: Path, tmp_path: Path) -> None:
    """As ShapesEval's baselines, which a model restricts to prompts that it can draw."""
    run = ["run", "--model", str(model), "--tasks", "processes", "--output", str(tmp_path)]
    inputs = []
    for words in (run, run, ["score", str(tmp_path), "--tasks", "processes"]):
        main(words)
        inputs.append(json.loads((tmp_path / "scores" / "processes.json").read_text())["inputs"])
    assert inputs[0] == inputs[1] != inputs[2]


def test_other_code_scores_anew(again: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    again()
    monkeypatch.setattr(inputs, "_source_sha256", lambda: "of other code")
    assert again() == {"brightness", "scaled", "size"}


def test_other_data_of_the_same_size_is_measured_anew(
    again: Callable[..., set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tar files have whole blocks, and a data set's fingerprint is of how it was made."""
    monkeypatch.setitem(TASKS, "brightness", replace(TASKS["brightness"], needs=("data",)))
    shard = tmp_path / "data" / "val" / "00000.tar"
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"a" * 10)
    data = ("--data", str(tmp_path / "data"))
    again(*data)
    assert again(*data) == set()
    before = shard.stat().st_mtime_ns
    shard.write_bytes(b"b" * 10)
    os.utime(shard, ns=(before + 1, before + 1))
    assert again(*data) == {"brightness"}


def test_other_packages_score_anew(again: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    again()
    installed = provenance.version
    for name in ("open-clip-torch", "rapidocr-onnxruntime", "pillow"):
        with monkeypatch.context() as patch:
            patch.setattr(provenance, "version", lambda one, n=name: "0" if one == n else installed(one))
            assert again() == {"brightness", "scaled", "size"}


def test_prompts_that_are_judged_otherwise_are_scored_anew(
    again: Callable[..., set[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again()
    path = tmp_path / "out" / "images" / "shapes" / "prompts.jsonl"
    row = json.loads(path.read_text())
    path.write_text(json.dumps({**row, "metadata": {"number": 7}}) + "\n")
    main(["score", str(tmp_path / "out"), "--tasks", "brightness"])
    score = json.loads((tmp_path / "out" / "scores" / "brightness.json").read_text())["score"]
    assert {row["number"] for row in score["rows"]} == {7}


def test_a_damaged_score_is_made_again(again: Callable[..., set[str]], tmp_path: Path) -> None:
    again()
    (tmp_path / "out" / "scores" / "scaled.json").write_text("{")
    assert again() == {"scaled"}


def test_data_that_does_not_say_what_it_is_is_known_by_its_files(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "val").mkdir(parents=True)
    (data / "val" / "00000.tar").write_bytes(bytes(10))
    (data / "val" / "notes.txt").write_text("anything")
    (first,) = data_fingerprint(data).values()
    (data / "val" / "notes.txt").write_text("something else")
    assert data_fingerprint(data) == {"data": first}
    (data / "val" / "00000.tar").write_bytes(bytes(11))
    assert data_fingerprint(data) != {"data": first}
    (data / "val").rename(tmp_path / "elsewhere")
    (data / "val").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "00000.tar").write_bytes(bytes(10))
    assert data_fingerprint(data) == {"data": first}
    (data / "dataset.json").write_text('{"fingerprint": "known"}')
    assert data_fingerprint(data) == {"data": "known"}
    (data / "dataset.json").write_text("[]")
    with pytest.raises(ValueError, match=r"dataset\.json must hold a JSON object, got list"):
        data_fingerprint(data)
