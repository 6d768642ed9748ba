"""The whole evaluation from one command, offline: every task that needs no weights, stand-ins among them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.__main__ import main
from evaluation.results import Result
from evaluation.tasks.entry import fits
from evaluation.tasks.registry import TASKS
from tests.pipelines import tiny_pipeline


def test_every_task_that_needs_no_weights_runs_offline(
    datasets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("INFINITY_WEIGHTS", "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    torch.manual_seed(0)
    tiny_pipeline(aspect_ratios=(1.0,)).save_pretrained(tmp_path / "model")
    output = tmp_path / "run"
    words = ["--model", str(tmp_path / "model"), "--data", str(datasets / "shapesworld_basic")]
    words += ["--output", str(output), "--limit", "6", "--images-per-prompt", "1"]
    main(["run", *words, "--tasks", ",".join(TASKS), "--skip-missing"])
    printed = capsys.readouterr().out
    assert "0 failed" in printed
    done = {path.stem for path in (output / "scores").glob("*.json")}
    assert done == {name for name, entry in TASKS.items() if not entry.weights}
    for name in TASKS.keys() - done:
        assert f"Task {name} was left out: " in printed
    result = Result.load(output)
    assert all(np.isfinite(metric.value) for metric in result.metrics)
    for name in done:
        _check_listed(name, output / "scores" / f"{name}.json")
    truth = [metric for metric in result.metrics if "ground_truth]/" in metric.id]
    assert truth
    assert {metric.value for metric in truth} == {1}
    stand_ins = {TASKS[name].stand_in_for for name in done} - {""}
    published = {metric.id.partition("[")[0] for metric in result.metrics}
    assert {"fid", "kid", "cmmd", "rfid-imagenet"} <= stand_ins
    assert not published & {"fid", "kid", "is", "cmmd", "rfid", "precision", "recall"}
    assert (output / "report.html").is_file()


def _check_listed(name: str, path: Path) -> None:
    """The list has every metric of a task, and says the way it is better."""
    entry = TASKS[name]
    for metric in json.loads(path.read_text())["score"]["metrics"]:
        listed = {entry.direction_of(one) for one in entry.metrics if fits(one, metric["id"])}
        assert metric["direction"] in listed, metric["id"]
