from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from evaluation.__main__ import main
from evaluation.results import Result, read_samples
from infinity.pipeline import InfinityPipeline


def sweep(model: Path, output: Path, *words: str) -> None:
    task = ["--tasks", "brightness", "--limit", "1", "--images-per-prompt", "1"]
    main(["sweep", "--model", str(model), *task, "--output", str(output), *words])


def test_a_sweep_runs_every_setting_and_reports_all_of_them(model, tmp_path, capsys) -> None:
    sweep(model, tmp_path, "--guidance", "1", "--temperature", "0.5", "3")
    page = tmp_path / "report" / "report.html"
    assert capsys.readouterr().out.strip().endswith(str(page))
    settings = {
        path.parent.name: Result.load(path.parent).config["sampling"]
        for path in tmp_path.glob("*/result.json")
    }
    assert {name: (one["guidance"], one["temperature"]) for name, one in settings.items()} == {
        "g1-t0.5": (1, 0.5),
        "g1-t3": (1, 3),
    }
    text = page.read_text()
    assert "Guidance and temperature" in text
    assert "g1-t3" in text


@pytest.mark.parametrize("with_tasks", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_sweep_loads_its_model_once_and_draws_what_single_runs_draw(
    model, world_dir, tmp_path, monkeypatch, with_tasks: bool
) -> None:
    loaded = []

    def load(*arguments: Any) -> InfinityPipeline:
        loaded.append(arguments)
        return from_pretrained(*arguments)

    from_pretrained = InfinityPipeline.from_pretrained
    monkeypatch.setattr(InfinityPipeline, "from_pretrained", load)
    settings = ["--guidance", "1", "3", "--temperature", "0.5"]
    if with_tasks:
        sweep(model, tmp_path, *settings)
        alone = ["--tasks", "brightness", "--limit", "1", "--images-per-prompt", "1"]
    else:
        alone = ["--data", str(world_dir), "--images-per-prompt", "1", "--num-reconstructions", "1"]
        main(["sweep", "--model", str(model), *alone, "--output", str(tmp_path), *settings])
    assert len(loaded) == 1
    alone += ["--guidance", "3", "--temperature", "0.5", "--output", str(tmp_path / "alone")]
    main(["run", "--model", str(model), *alone])
    first, second = (
        [(row["prompt_id"], row["sha256"]) for row in read_samples(tmp_path / name)]
        for name in ("g3-t0.5", "alone")
    )
    assert first
    assert first == second


def test_one_setting_is_no_sweep(model, tmp_path) -> None:
    with pytest.raises(SystemExit, match="error: a sweep needs at least two settings, got one; use"):
        sweep(model, tmp_path, "--guidance", "2", "2", "--temperature", "1")


def test_settings_that_are_no_numbers_are_refused(model, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        sweep(model, tmp_path, "--guidance", "much", "--temperature", "1")
    assert "argument --guidance" in capsys.readouterr().err


def test_summaries_of_a_run_are_at_the_training_step_of_its_model(pipeline, tmp_path) -> None:
    pipeline.save_pretrained(tmp_path / "model", extra={"step": 700})
    words = ["--tasks", "brightness", "--limit", "1", "--images-per-prompt", "1"]
    main(["run", "--model", str(tmp_path / "model"), *words, "--output", str(tmp_path / "out")])
    logs = tmp_path / "logs"
    main(["report", str(tmp_path / "out"), "--output", str(tmp_path / "page"), "--tensorboard", str(logs)])
    (file,) = logs.rglob("*tfevents*")
    (scalar,) = EventAccumulator(str(file)).Reload().Scalars("brightness")
    assert scalar.step == 700
