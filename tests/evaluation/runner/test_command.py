"""The commands end to end: run, resume, score, list."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.results import Result, read_samples
from evaluation.tasks.registry import TASKS


def run(model: Path, output: Path, *words: str) -> None:
    main(["run", "--model", str(model), "--tasks", "brightness", "--output", str(output), *words])


@pytest.fixture
def weights(tmp_path: Path) -> str:
    (tmp_path / "scale.txt").write_text("2")
    return f"scale={tmp_path / 'scale.txt'}"


def test_a_run_leaves_images_scores_rows_provenance_and_a_report(model, tmp_path, capsys) -> None:
    run(model, tmp_path / "out", "--temperature", "0.5")
    printed = capsys.readouterr().out
    assert "10 images, 0 failed, 0 from prompts that were cut" in printed
    assert "\nbrightness: brightness = 1" in printed
    assert printed.strip().endswith(str(tmp_path / "out" / "report.html"))
    result = Result.load(tmp_path / "out")
    assert result["brightness"].n == 10
    assert result.config["sampling"]["temperature"] == 0.5
    assert result.config["tokenizer"]
    assert "A test's." in result.config["caveats"]
    assert result.provenance.checkpoints.keys() == {"vae", "transformer"}
    assert result.provenance.seeds == {"sampling": 0}
    stages = [row[0] for row in result.tables["Wall time"].rows]
    assert stages == ["draw shapes", "score brightness"]
    rows = read_samples(tmp_path / "out")
    assert len(rows) == 10
    assert all((tmp_path / "out" / row["file"]).is_file() for row in rows)
    assert {row["tasks"]["brightness"]["reason"] for row in rows} <= {"", "too dark"}
    assert "shapes: the first ones" in (tmp_path / "out" / "report.html").read_text().lower()


def test_scores_without_the_model_are_those_of_one_go(model, weights, tmp_path, capsys) -> None:
    both = ["--tasks", "brightness,scaled", "--weights", weights]
    main(["run", "--model", str(model), *both, "--output", str(tmp_path / "at-once")])
    run(model, tmp_path / "apart")
    main(["score", str(tmp_path / "apart"), "--tasks", "scaled", "--weights", weights])
    at_once, apart = (Result.load(tmp_path / name) for name in ("at-once", "apart"))
    assert apart.metrics == at_once.metrics
    assert read_samples(tmp_path / "apart") == read_samples(tmp_path / "at-once")
    assert apart.provenance.checkpoints == at_once.provenance.checkpoints
    assert apart.provenance.checkpoints.keys() == {"vae", "transformer", "scale"}
    with pytest.raises(
        SystemExit, match="task size: it measures the model itself; use `python -m evaluation"
    ):
        main(["score", str(tmp_path / "apart"), "--tasks", "size"])


def test_images_that_were_changed_are_not_scored(model, tmp_path) -> None:
    run(model, tmp_path)
    first, second = sorted((tmp_path / "images" / "shapes").glob("*.png"))[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(SystemExit, match=f"1 of 10 images in .* missing or damaged, e.g. {first.name}"):
        main(["score", str(tmp_path), "--tasks", "brightness"])


@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("drawing.json", "no record of a drawing"),
        ("images/shapes/prompts.jsonl", "no list of prompts"),
        ("scores/brightness.json", "no score of a task"),
    ],
)
def test_other_files_in_place_of_a_runs_own_are_named(model, weights, tmp_path, file: str, what: str) -> None:
    run(model, tmp_path, "--limit", "1")
    (tmp_path / file).write_text("{}\n")
    with pytest.raises(SystemExit, match=f"error: .*{file} is {what}"):
        main(["score", str(tmp_path), "--tasks", "scaled", "--weights", weights])


def test_a_limit_can_be_raised_and_what_is_there_stays(model, tmp_path) -> None:
    run(model, tmp_path, "--limit", "2", "--images-per-prompt", "1")
    few = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images" / "shapes").glob("*.png")}
    assert len(few) == 2
    run(model, tmp_path, "--limit", "3")
    more = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "images" / "shapes").glob("*.png")}
    assert len(more) == 6
    assert few.items() <= more.items()
    assert Result.load(tmp_path)["brightness"].n == 6


def test_scores_of_other_images_are_left_out_and_named(model, weights, tmp_path) -> None:
    run(model, tmp_path, "--limit", "2")
    main(["score", str(tmp_path), "--tasks", "scaled", "--weights", weights])
    run(model, tmp_path, "--limit", "3")
    result = Result.load(tmp_path)
    assert [metric.id for metric in result.metrics] == ["brightness"]
    assert "Task scaled was left out: it was scored on other images." in result.config["caveats"]


def test_missing_weights_are_refused_before_the_model_is_loaded(tmp_path) -> None:
    arguments = ["run", "--model", "nowhere", "--tasks", "brightness,scaled", "--output", str(tmp_path / "o")]
    with pytest.raises(
        SystemExit, match=r"task scaled: scale\.txt is needed: get it from the tests and pass"
    ):
        main(arguments)
    assert not (tmp_path / "o").exists()


def test_tasks_that_lack_something_can_be_left_out(model, tmp_path, capsys) -> None:
    main(
        ["run", "--model", str(model), "--tasks", "scaled,size", "--skip-missing", "--output", str(tmp_path)]
    )
    assert "Task scaled was left out: scale.txt is needed" in capsys.readouterr().out
    assert [metric.id for metric in Result.load(tmp_path).metrics] == ["parameters"]


def test_all_is_every_task(tmp_path) -> None:
    arguments = ["run", "--model", "nowhere", "--tasks", "all", "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=f"task {next(iter(TASKS))}: "):
        main(arguments)


def test_prompts_are_rewritten_for_the_model_alone(model, tmp_path) -> None:
    run(model, tmp_path, "--rewriter", "tests.rewriters:at_sea", "--limit", "1")
    row, _ = read_samples(tmp_path)
    assert (row["prompt"], row["rewritten"]) == ("a red circle", "a red circle at sea")
    assert Result.load(tmp_path).config["rewriter"].startswith("function-tests.rewriters:at_sea")
    with pytest.raises(SystemExit, match=r"another model or other settings \(rewriter\); choose another"):
        run(model, tmp_path, "--limit", "1")


def test_prompts_that_the_text_encoder_cuts_are_counted(model, tmp_path, monkeypatch, capsys) -> None:
    text = " ".join(["red"] * 40)
    (tmp_path / "long.py").write_text(f"def longer(prompts):\n    return [p + ' {text}' for p in prompts]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    run(model, tmp_path / "out", "--rewriter", "long:longer", "--limit", "2")
    printed = capsys.readouterr().out
    assert "4 images, 0 failed, 4 from prompts that were cut" in printed
    assert "4 of 4 images of shapes were drawn from prompts that are longer" in printed
    run(model, tmp_path / "out", "--rewriter", "long:longer", "--limit", "1")
    assert "2 images, 0 failed, 2 from prompts that were cut" in capsys.readouterr().out


def test_provenance_is_that_of_the_code_that_drew_the_images(model, tmp_path) -> None:
    run(model, tmp_path, "--limit", "1")
    now = Result.load(tmp_path).provenance.git_sha
    path = tmp_path / "drawing.json"

    def drawn_by() -> str:
        return json.loads(path.read_text())["provenance"]["git_sha"]

    record = json.loads(path.read_text())
    record["provenance"]["git_sha"] = "earlier"
    path.write_text(json.dumps(record))
    run(model, tmp_path, "--limit", "1")
    assert drawn_by() == "earlier"
    run(model, tmp_path, "--limit", "2")
    assert drawn_by() == f"earlier, {now}"
    assert Result.load(tmp_path).provenance.git_sha == f"earlier, {now}"


def test_a_task_that_fails_does_not_cost_the_others_but_fails_the_run(model, tmp_path) -> None:
    reasons = r"nothing: it gave no finite value .*large: out of .*defective: KeyError: 'a mistake'"
    tasks = "nothing,large,defective,brightness"
    with pytest.raises(SystemExit, match=rf"3 tasks failed \({reasons}"):
        main(["run", "--model", str(model), "--tasks", tasks, "--output", str(tmp_path)])
    result = Result.load(tmp_path)
    assert [metric.id for metric in result.metrics] == ["brightness"]
    assert any("Task nothing failed" in caveat for caveat in result.config["caveats"])


def test_tasks_may_measure_one_metric_with_different_roundings(model, tmp_path) -> None:
    run(model, tmp_path, "--limit", "1")
    value = Result.load(tmp_path)["brightness"].value
    main(["score", str(tmp_path), "--tasks", "rounded"])
    (metric,) = Result.load(tmp_path).metrics
    assert metric.value == pytest.approx(value + 1e-6, abs=1e-9)


def test_all_prompts_are_there_before_any_is_drawn_and_all_images_before_any_is_scored(
    model, tmp_path
) -> None:
    empty, output = tmp_path / "empty", tmp_path / "out"
    empty.mkdir()
    words = ["--tasks", "brightness,shapeseval", "--data", str(empty), "--output", str(output)]
    with pytest.raises(SystemExit, match=r"error: no prompts\.jsonl in"):
        main(["run", "--model", str(model), *words])
    assert not list(tmp_path.rglob("*.png"))
    run(model, output, "--limit", "1")
    (output / "scores" / "brightness.json").unlink()
    with pytest.raises(SystemExit, match="no images of the prompt set shapesworld in"):
        main(["score", str(output), "--tasks", "brightness,shapeseval", "--data", str(empty)])
    assert not list((output / "scores").iterdir())


def test_weights_of_a_name_that_no_task_knows_are_refused(model, tmp_path) -> None:
    with pytest.raises(SystemExit, match=r"--weights sclae: no task has .*; did you mean scale\?"):
        run(model, tmp_path, "--weights", f"sclae={tmp_path}")
    assert not list(tmp_path.iterdir())


def test_a_score_is_kept_where_scoring_again_fails(model, tmp_path, monkeypatch) -> None:
    run(model, tmp_path)
    kept = Result.load(tmp_path)["brightness"]

    def fail(self, samples, context):
        raise ValueError("no luck")

    monkeypatch.setattr("tests.evaluation.runner.tasks.Brightness.score", fail)
    with pytest.raises(SystemExit, match="no luck"):
        run(model, tmp_path, "--rescore")
    assert Result.load(tmp_path)["brightness"] == kept


def test_several_processes_are_refused_where_they_cannot_share(model, tmp_path, monkeypatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match="several processes can draw for --tasks alone"):
        main(["run", "--model", str(model), "--data", str(tmp_path), "--output", str(tmp_path / "out")])
    run(model, tmp_path / "out", "--rewriter", "tests.rewriters:at_sea", "--limit", "2")
    assert [path.name for path in (tmp_path / "out").glob("*.jsonl")] == ["rewritten_prompts.rank1.jsonl"]
    assert [path.name for path in (tmp_path / "out").rglob("manifest*")] == ["manifest.rank1.jsonl"]


def test_scorers_see_one_process(model, tmp_path, monkeypatch) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    main(["run", "--model", str(model), "--tasks", "processes", "--output", str(tmp_path)])
    assert Result.load(tmp_path)["variables"].value == 0
    assert os.environ["WORLD_SIZE"] == "1"


def test_the_list_names_metrics_weights_and_stand_ins(weights, tmp_path, capsys) -> None:
    main(["list"])
    text = capsys.readouterr().out
    assert "scaled: mean pixel, scaled [stand-in for light, not comparable with it]" in text
    assert "metric   brightness (higher is better)" in text
    assert "scale: MISSING, scale.txt is needed: get it from the tests and pass --weights scale=PATH" in text
    main(["list", "--weights", weights])
    assert f"scale: found at {tmp_path / 'scale.txt'}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["run", "--list"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == text.strip()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--tasks", "unheard"], "unknown task 'unheard'; `python -m evaluation list` shows them"),
        (["--tasks", ","], "no task is left to do"),
        (["--tasks", "brightness", "--limit", "0"], "--limit must be at least 1, got 0"),
        (["--tasks", "brightness", "--weights", "a"], "--weights takes NAME=PATH, got 'a'"),
        (["--tasks", "brightness", "--splits", "id"], "--splits has no effect with --tasks"),
        (["--tasks", "brightness", "--data", "nowhere"], "--data nowhere: there is no such folder"),
        (["--tasks", "brightness", "--device", "gpu"], "the device 'gpu' cannot be used here"),
        (["--limit", "3", "--data", "d"], "--limit needs --tasks"),
        (["--rescore", "--data", "d"], "--rescore needs --tasks"),
        ([], "--data is needed without --tasks"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(model, tmp_path, words, sentence) -> None:
    with pytest.raises(SystemExit, match=f"error: {sentence}"):
        main(["run", "--model", str(model), "--output", str(tmp_path / "out"), *words])


def test_scoring_without_a_run_says_how_to_make_one(tmp_path) -> None:
    with pytest.raises(SystemExit, match=r"no drawing\.json in .*; draw with `python -m evaluation run"):
        main(["score", str(tmp_path), "--tasks", "brightness"])


def test_manifests_can_be_read_by_the_other_commands(model, tmp_path) -> None:
    run(model, tmp_path, "--limit", "1")
    row = json.loads((tmp_path / "images" / "shapes" / "manifest.jsonl").read_text().splitlines()[0])
    assert row.keys() == {
        *("file", "prompt_id", "index", "prompt", "rewritten", "truncated", "seed", "sha256", "settings"),
    }
    assert row["settings"]["model_sha256"]
