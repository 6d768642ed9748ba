"""Evaluating a checkpoint repeats what training measured, on averaged weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_modules.cli import train
from tests.integration.runs import TINY_VAE, fit, metrics, short, write_yaml


def test_validating_and_testing_the_last_checkpoint_give_the_loss_that_training_logged(
    tmp_path: Path, datasets: Path
) -> None:
    config = f"--config={write_yaml(tmp_path / 'vae.yaml', TINY_VAE)}"
    gan = [
        "--model.loss.gan_weight=0.1",
        "--model.loss.gan_start_step=2",
        "--model.loss.discriminator.channels=8",
    ]
    arguments = [config, *short(3, tmp_path / "run", datasets / "shapesworld_basic"), *gan, "--ema.decay=0.5"]
    fit("vae", *arguments)
    logged = metrics(tmp_path / "run")[2]["val/loss"]
    for subcommand, split in (("validate", "val"), ("test", "test")):
        options = ["--ckpt_path=last", "--trainer.limit_test_batches=1"]
        evaluated = train("vae", [subcommand, *arguments, *options]).trainer.callback_metrics
        assert evaluated[f"{split}/loss"].item() == pytest.approx(logged, rel=1e-6)
        assert f"{split}/discriminator" in evaluated
