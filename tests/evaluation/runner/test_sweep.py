from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.results import Result


def sweep(model: Path, output: Path, *words: str) -> None:
    task = ["--tasks", "brightness", "--limit", "1", "--images-per-prompt", "1"]
    main(["sweep", "--model", str(model), *task, "--output", str(output), *words])


def test_a_sweep_runs_every_setting_and_reports_all_of_them(model, tmp_path, capsys) -> None:
    sweep(model, tmp_path, "--guidance", "1", "3", "--temperature", "0.5")
    page = tmp_path / "report" / "report.html"
    assert capsys.readouterr().out.strip().endswith(str(page))
    settings = {
        path.parent.name: Result.load(path.parent).config["sampling"]
        for path in tmp_path.glob("*/result.json")
    }
    assert {name: (one["guidance"], one["temperature"]) for name, one in settings.items()} == {
        "g1-t0.5": (1, 0.5),
        "g3-t0.5": (3, 0.5),
    }
    text = page.read_text()
    assert "Guidance and temperature" in text
    assert "g3-t0.5" in text


def test_one_setting_is_no_sweep(model, tmp_path) -> None:
    with pytest.raises(SystemExit, match="error: a sweep needs at least two settings, got one; use"):
        sweep(model, tmp_path, "--guidance", "2", "2", "--temperature", "1")


def test_settings_that_are_no_numbers_are_refused(model, tmp_path, capsys) -> None:
    with pytest.raises(SystemExit):
        sweep(model, tmp_path, "--guidance", "much", "--temperature", "1")
    assert "argument --guidance" in capsys.readouterr().err
