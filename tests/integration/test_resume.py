"""A run that stops and goes on is the run that never stopped, bit for bit."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from infinity.checkpoints.io import load_vae
from lit_modules.cli import main
from tests.integration.runs import TINY_AR, TINY_VAE, checkpoint, fit, metrics, short, write_yaml

CHANGING = ("Timer", "Throughput")  # clocks


def assert_same(one: Any, two: Any, path: str = "") -> None:
    if isinstance(one, dict):
        assert one.keys() == two.keys(), path
        for key in one:
            if not any(name in str(key) for name in CHANGING):
                assert_same(one[key], two[key], f"{path}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(two), path
        for i, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, f"{path}/{i}")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, two), path
    else:
        assert one == two or one != one, path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory, datasets: Path) -> Path:
    run = tmp_path_factory.mktemp("tokenizer")
    config = write_yaml(run / "vae.yaml", TINY_VAE)
    fit("vae", f"--config={config}", *short(2, run / "vae", datasets / "shapesworld_basic"))
    return run / "vae/export"


VAE_OPTIONS = [
    "--model.vae.quantizer.scale_depth_dropout=0.5",
    "--model.loss.gan_weight=0.1",
    "--model.loss.lecam_weight=0.05",
    "--model.loss.discriminator.channels=8",
    "--model.loss.discriminator.num_layers=1",
]
AR_OPTIONS = ["--model.transformer.drop_path=0.2", "--model.optimizer.kind=muon"]


def interrupt(step: int, number: int = signal.SIGINT) -> str:
    return (
        "--trainer.callbacks=[{class_path: tests.integration.runs.Interrupt, "
        f"init_args: {{step: {step}, number: {number}}}}}]"
    )


@pytest.mark.parametrize("kind", ["vae", "ar"])
def test_resuming_in_the_middle_gives_the_weights_of_a_straight_run(
    kind: str, tmp_path: Path, datasets: Path, tokenizer: Path, recwarn: pytest.WarningsRecorder
) -> None:
    # 4 batches an epoch: step 3 is inside the first, step 7 inside the second
    config = write_yaml(tmp_path / "config.yaml", TINY_VAE if kind == "vae" else TINY_AR)
    options = VAE_OPTIONS if kind == "vae" else [*AR_OPTIONS, f"--model.vae={tokenizer}"]
    arguments = [f"--config={config}", *options, "--model.optimizer.schedule=cosine", "--data.batch_size=8"]
    straight, resumed, data = tmp_path / "straight", tmp_path / "resumed", datasets / "shapesworld_basic"
    fit(kind, *arguments, *short(7, straight, data))
    halfway = ["--checkpoints.every_n_steps=3", interrupt(5)]
    with pytest.raises(SystemExit):
        main([kind, "fit", *arguments, *short(7, resumed, data), *halfway])
    assert checkpoint(resumed)["global_step"] == 3
    fit(kind, *arguments, *short(7, resumed, data), "--ckpt_path=last")
    assert not [str(w.message) for w in recwarn if "resum" in str(w.message)], "its order is one number"
    one, two = checkpoint(straight), checkpoint(resumed)
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "ImageTextDataModule"):
        assert_same(one[key], two[key], key)
    ema = next(key for key in one["callbacks"] if "EMA" in key)
    assert_same(one["callbacks"][ema], two["callbacks"][ema])
    straight_rows, resumed_rows = metrics(straight), metrics(resumed)
    for step in range(3, 7):
        assert resumed_rows[step]["train/loss"] == straight_rows[step]["train/loss"]


def test_a_terminated_run_says_how_to_go_on_and_exits_as_terminated(
    tmp_path: Path, datasets: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = write_yaml(tmp_path / "vae.yaml", TINY_VAE)
    arguments = [f"--config={config}", *short(4, tmp_path / "run", datasets / "shapesworld_basic")]
    with caplog.at_level(logging.INFO):
        assert main(["vae", "fit", *arguments, interrupt(2, signal.SIGTERM)]) == 143
    assert "--ckpt_path last goes on from step 3" in caplog.text
    fit("vae", *arguments, "--ckpt_path=last")
    assert checkpoint(tmp_path / "run")["global_step"] == 4


@pytest.mark.parametrize("step", [1, 2])
def test_a_run_that_is_terminated_while_it_accumulates_gradients_repeats_the_step(
    step: int, tmp_path: Path, datasets: Path
) -> None:
    # 4 batches an epoch are steps of 3 and of 1: the signal comes in the last, or in the next epoch's first
    config, data = write_yaml(tmp_path / "config.yaml", TINY_VAE), datasets / "shapesworld_basic"
    arguments = [f"--config={config}", VAE_OPTIONS[0], "--data.batch_size=8", "--ckpt_path=last"]
    arguments += ["--trainer.accumulate_grad_batches=3", "--trainer.limit_val_batches=0"]
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    fit("vae", *arguments, *short(4, straight, data))
    assert main(["vae", "fit", *arguments, *short(4, resumed, data), interrupt(step, signal.SIGTERM)]) == 143
    assert checkpoint(resumed)["global_step"] == 2
    assert checkpoint(resumed)["ImageTextDataModule"]["batches"] == 4
    fit("vae", *arguments, *short(4, resumed, data))
    for key in ("state_dict", "optimizer_states", "lr_schedulers", "ImageTextDataModule"):
        assert_same(checkpoint(straight)[key], checkpoint(resumed)[key], key)


def test_a_failed_export_loses_no_training_and_is_made_up_for_by_calling_again(
    tmp_path: Path, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = write_yaml(tmp_path / "vae.yaml", TINY_VAE), tmp_path / "run"
    arguments = [f"--config={config}", *short(2, run, datasets / "shapesworld_basic"), "--ema.decay=0.5"]
    (run / "export/config.json").mkdir(parents=True)
    assert main(["vae", "fit", *arguments]) == 1
    assert str(run / "export") in capsys.readouterr().err.splitlines()[-1]
    assert checkpoint(run)["global_step"] == 2
    (run / "export/config.json").rmdir()
    fit("vae", *arguments, "--ckpt_path=last")
    (averages,) = (state["averages"] for name, state in checkpoint(run)["callbacks"].items() if "EMA" in name)
    for name, weight in load_vae(run / "export").named_parameters():
        assert torch.equal(weight, averages[name]), name
