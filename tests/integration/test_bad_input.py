"""Mistakes that users make: each ends in one sentence on standard error, before any training."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from datamodules.folder import folder_dataset
from datamodules.packing import pack_dataset
from infinity.checkpoints.io import save_pretrained
from infinity.quantizers.config import QuantizerConfig
from infinity.vae import VAE, VAEConfig
from lit_modules.cli import main
from tests.integration.runs import TINY_AR, TINY_VAE, fit, short, write_yaml


@pytest.fixture
def failing(tmp_path: Path, datasets: Path, capsys: pytest.CaptureFixture[str]):
    """Runs a command that has to fail, and returns what it says."""

    def fail(kind: str, *options: str, config: str = "", subcommand: str = "fit") -> str:
        base = write_yaml(tmp_path / "base.yaml", TINY_VAE if kind == "vae" else TINY_AR)
        extra = write_yaml(tmp_path / "extra.yaml", config) if config else base
        run = tmp_path / "run"
        usual = short(2, run, datasets / "shapesworld_basic")
        existed = run.exists()
        arguments = [f"--config={base}", f"--config={extra}", *usual, *options]
        capsys.readouterr()
        assert main([kind, subcommand, *arguments]) == 1
        said = capsys.readouterr().err.splitlines()
        assert [line for line in said if not line.startswith("Seed set")] == said[-1:]
        assert said[-1].startswith("error: ")
        assert existed or not (run / "checkpoints").exists()
        return said[-1]

    return fail


@pytest.mark.parametrize("config", ["model: {vae: {num_bitz: 3}}", "model: {vea: {num_bits: 3}}", "mdl: 1"])
def test_an_unknown_key_is_named(failing, config: str) -> None:
    said = failing("vae", config=config)
    assert any(word in said for word in ("num_bitz", "vea", "mdl"))


def test_a_wrong_choice_is_told_with_the_right_ones(failing) -> None:
    said = failing("vae", "--model.vae.quantizer.kind=fsq")
    assert all(word in said for word in ("quantizer.kind", "bsq", "lfq", "vq", "fsq"))


def test_a_value_out_of_range_is_told_with_its_range(failing) -> None:
    assert "num_bits of bsq must be in [1, 128], got 500" in failing(
        "vae", "--model.vae.quantizer.num_bits=500"
    )


def test_an_impossible_aspect_ratio_is_told_with_the_possible_ones(failing) -> None:
    assert "[0.25, 4], got 7" in failing("vae", "--data.resolution.aspect_ratios=[7.0]")
    assert "the nearest is 1.25" in failing(
        "vae", "--data.resolution.sides=[]", "--data.resolution.aspect_ratios=[1.2]"
    )


def test_a_missing_data_set_is_told_with_how_to_make_one(failing, tmp_path: Path) -> None:
    said = failing("vae", f"--data.root={tmp_path / 'nowhere'}")
    assert "nowhere" in said
    assert "prepare" in said


def test_a_missing_shard_is_named(failing, tmp_path: Path) -> None:
    data = pictures(tmp_path, side=64)
    (data / "train/00000.tar").unlink()
    assert "00000.tar is missing" in failing("vae", f"--data.root={data}")


def test_images_that_are_too_small_are_told_with_their_size(failing, tmp_path: Path) -> None:
    said = failing("vae", f"--data.root={pictures(tmp_path, side=16)}")
    assert "16x16" in said
    assert "64x64" in said


def pictures(folder: Path, side: int) -> Path:
    """A packed data set of a few square pictures."""
    (folder / "pictures").mkdir()
    for i in range(12):
        Image.new("RGB", (side, side), (20 * i, 0, 0)).save(folder / f"pictures/{i}.png")
        (folder / f"pictures/{i}.txt").write_text("a picture")
    pack_dataset(folder / "packed", folder_dataset(folder / "pictures", 0.3))
    return folder / "packed"


def test_a_stride_that_is_not_the_tokenizers_is_told_with_both(failing) -> None:
    said = failing("vae", "--data.resolution.stride=16")
    assert "token of 8 pixels" in said
    assert "data.resolution.stride is 16" in said


def test_a_tokenizer_that_is_not_there_is_told_with_what_belongs_there(failing, tmp_path: Path) -> None:
    said = failing("ar", f"--model.vae={tmp_path / 'nothing'}")
    assert "holds no config.json" in said
    (tmp_path / "nothing").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "nothing" / name).write_text("{")
    assert "nothing/config.json" in failing("ar", f"--model.vae={tmp_path / 'nothing'}")


def test_a_tokenizer_of_another_size_is_told_key_by_key(failing, tmp_path: Path) -> None:
    levels = {"encoder_multipliers": (1,), "decoder_multipliers": (1,), "stem_patch": 8}
    config = VAEConfig(quantizer=QuantizerConfig(num_bits=4), base_channels=32, num_res_blocks=1, **levels)
    save_pretrained(tmp_path / "vae", VAE(config))
    said = failing("ar", f"--model.vae={tmp_path / 'vae'}")
    assert "model.transformer.token_bits is 8" in said
    assert "set it to 4" in said


def test_missing_perceptual_weights_are_told_with_the_file(failing, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert "vgg16-397923af.pth" in failing("vae", "--model.loss.lpips_weight=1")


def test_a_missing_config_file_is_named(failing, tmp_path: Path) -> None:
    assert "absent.yaml" in failing("vae", f"--config={tmp_path / 'absent.yaml'}")


def test_evaluating_without_a_checkpoint_is_refused(failing) -> None:
    assert "--ckpt_path" in failing("vae", subcommand="validate")


def test_what_lightning_offers_and_cannot_work_is_told_with_what_does(failing) -> None:
    assert "ModelParallelStrategy" in failing("vae", "--trainer.strategy=fsdp")
    assert "use bf16-mixed or 32-true" in failing("vae", "--trainer.precision=16-mixed")
    assert "needs the package transformer-engine" in failing("vae", "--trainer.precision=transformer-engine")
    assert "pack a data set of a few images" in failing("vae", "--trainer.overfit_batches=1")


def test_what_would_stop_the_first_step_is_refused_before(failing) -> None:
    assert "remove trainer.gradient_clip_val" in failing("vae", "--trainer.gradient_clip_val=1")
    for name in ("accumulate_grad_batches", "log_every_n_steps", "val_check_interval"):
        assert f"trainer.{name} must be at least 1, got 0" in failing("vae", f"--trainer.{name}=0")


def test_a_run_where_a_file_is_in_the_way_is_told_with_the_file(failing, tmp_path: Path) -> None:
    notes = write_yaml(tmp_path / "notes", "")
    for run in (notes, notes / "run"):
        assert f"{notes} is a file" in failing("vae", f"--trainer.default_root_dir={run}")
    for name in ("checkpoints", "images", "export"):
        blocking = tmp_path / f"blocked_by_{name}" / name
        blocking.parent.mkdir()
        blocking.touch()
        said = failing("vae", f"--trainer.default_root_dir={blocking.parent}")
        assert f"{blocking} is a file, where trainer.default_root_dir" in said


def test_attention_that_a_cpu_cannot_train_is_told_with_the_one_it_can(failing) -> None:
    assert "flex has no backward pass on a CPU; use split" in failing(
        "ar", "--model.vae=unused", "--model.transformer.attention=flex"
    )


def test_lists_for_other_numbers_of_scales_are_told_with_both_numbers(failing) -> None:
    ratios = "--data.resolution.aspect_ratios=[1.0,2.0]"
    for name in ("guidance", "temperature", "top_p"):
        said = failing("ar", "--model.vae=unused", ratios, f"--model.sampling.{name}=[1.0,1.0,0.5]")
        assert f"{name} has 3 values" in said
        assert "4 scales" in said


def test_an_unknown_model_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gan", "fit"]) == 1
    assert "'gan'; expected one of vae, ar" in capsys.readouterr().err


def test_a_worker_that_is_killed_ends_the_run_in_one_sentence(
    tmp_path: Path, datasets: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def kill_the_first() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid or 0, signal.SIGKILL)

    config = write_yaml(tmp_path / "vae.yaml", TINY_VAE)
    options = [*short(10**6, tmp_path / "run", datasets / "shapesworld_basic"), "--data.num_workers=1"]
    killer = threading.Thread(target=kill_the_first)
    killer.start()
    assert main(["vae", "fit", f"--config={config}", *options]) == 1
    killer.join()
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert "error: DataLoader worker (pid" in told
    assert "perhaps for its memory; go on by --ckpt_path last" in told


def test_runs_and_checkpoints_are_not_mixed_up(failing, tmp_path: Path, datasets: Path) -> None:
    config = write_yaml(tmp_path / "vae.yaml", TINY_VAE)
    fit("vae", f"--config={config}", *short(2, tmp_path / "run", datasets / "shapesworld_basic"))
    kept = (tmp_path / "run/config.yaml").read_text()
    assert "--ckpt_path last" in failing("vae")
    said = failing("vae", "--ckpt_path=last", "--model.vae.num_res_blocks=2", "--model.optimizer.lr=1")
    assert "model.vae.num_res_blocks is 1 there and 2 here" in said
    assert "model.optimizer.lr is 0.001 there and 1.0 here" in said
    said = failing("vae", "--ckpt_path=last", "--data.batch_size=2")
    assert "global_batch_size = 4, this run has 2" in said
    assert (tmp_path / "run/config.yaml").read_text() == kept, "the configuration of what was trained"
    assert "no checkpoint at" in failing("vae", f"--ckpt_path={tmp_path / 'other.ckpt'}")


def test_checkpoints_that_cannot_be_gone_on_from_are_told_with_why(
    failing, tmp_path: Path, datasets: Path
) -> None:
    config = write_yaml(tmp_path / "vae.yaml", TINY_VAE)
    fit("vae", f"--config={config}", *short(1, tmp_path / "run", datasets / "shapesworld_basic"))
    last, elsewhere = tmp_path / "run/checkpoints/last.ckpt", tmp_path / "elsewhere"
    said = failing("ar", f"--ckpt_path={last}", "--model.vae=unused")
    assert "another kind of model: it is configured by vae, " in said
    content = last.read_bytes()
    (tmp_path / "copy.ckpt").write_bytes(content)
    assert "holds a run already" in failing("vae", f"--ckpt_path={tmp_path / 'copy.ckpt'}")
    fresh = [f"--ckpt_path={elsewhere}", f"--trainer.default_root_dir={tmp_path / 'fresh'}"]
    elsewhere.mkdir()
    assert "no checkpoint in shards" in failing("vae", *fresh)
    (elsewhere / ".metadata").touch()
    (elsewhere / "meta.pt").write_bytes(content)
    assert "ModelParallelStrategy" in failing("vae", *fresh)
    last.write_bytes(content[:-1000])
    assert "can't read" in failing("vae", "--ckpt_path=last")


@pytest.mark.parametrize(
    ("monitor", "hint"), [("val/los", "did you mean val/loss?"), ("recon", "validation logs val/")]
)
def test_a_monitor_that_nobody_logs_is_told_before_training(failing, monitor: str, hint: str) -> None:
    said = failing("vae", f"--checkpoints.monitor={monitor}", "--checkpoints.every_n_steps=1")
    assert f"checkpoints.monitor {monitor} is not logged; {hint}" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("model: {vae: [", "Problems parsing config"),
        ("model: {vae: {base_channels: many}}", "model.vae.base_channels"),
        ("model: {vae: {base_channels: '${absent.key}'}}", "absent"),
        ("- a", "Unexpected config: - a"),
        ("model: {vae: {num_bitz: 3}}", "vae.num_bitz"),
        ("modl: {}", "modl"),
    ],
)
def test_a_mistake_in_a_config_file_is_told_with_the_file(
    failing, tmp_path: Path, content: str, reason: str
) -> None:
    said = failing("vae", config=content)
    assert f"error: in {tmp_path / 'extra.yaml'}: " in said
    assert reason in said
