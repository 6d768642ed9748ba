"""Benchmarks that the training command runs every few steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.results import Result
from evaluation.tasks import registry
from tests.evaluation.runner.tasks import ENTRIES, PROMPT_SETS
from tests.integration.runs import TINY_AR, TINY_VAE, fit, metrics, short, write_yaml


def test_the_training_command_scores_its_model_and_trains_as_without(
    tmp_path: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.TASKS, "brightness", ENTRIES["brightness"])
    monkeypatch.setitem(registry.PROMPT_SETS, "shapes", PROMPT_SETS["shapes"])
    data = datasets / "shapesworld_basic"
    vae = f"--config={write_yaml(tmp_path / 'vae.yaml', TINY_VAE)}"
    ar = f"--config={write_yaml(tmp_path / 'ar.yaml', TINY_AR)}"
    fit("vae", vae, *short(1, tmp_path / "vae", data))
    common = [ar, f"--model.vae={tmp_path / 'vae' / 'export'}"]
    evaluation = [
        "--evaluation.every_n_steps=2",
        "--evaluation.tasks=[brightness]",
        "--evaluation.limit=3",
    ]
    fit("ar", *common, *short(3, tmp_path / "alone", data))
    fit("ar", *common, *short(3, tmp_path / "run", data), *evaluation)
    logged, alone = metrics(tmp_path / "run"), metrics(tmp_path / "alone")
    result = Result.load(tmp_path / "run" / "evaluation" / "step_0000002")
    assert logged[2]["eval/brightness"] == result["brightness"].value
    assert result["brightness"].n == 3
    assert logged[2]["train/loss"] == alone[2]["train/loss"]  # Lightning counts steps from 0
    assert logged[2]["val/loss"] == alone[2]["val/loss"]
