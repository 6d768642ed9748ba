"""A recipe on several data sets, from YAML, stopped and gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.index import ShardIndex
from lit_modules.cli import main
from tests.integration.runs import TINY_VAE, checkpoint, fit, short, write_yaml
from tests.static.project import ROOT


def test_the_shipped_mixture_trains_and_goes_on(
    tmp_path: Path, datasets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixture = (
        (ROOT / "configs/mixture/shapes_and_emoji.yaml")
        .read_text()
        .replace("root: data", f"root: {datasets}")
    )
    files = [write_yaml(tmp_path / "vae.yaml", TINY_VAE), write_yaml(tmp_path / "mixture.yaml", mixture)]

    def arguments(steps: int) -> list[str]:
        options = [option for option in short(steps, tmp_path / "run", datasets) if "data.root" not in option]
        return [*(f"--config={file}" for file in files), *options]

    fit("vae", *arguments(2))
    saved = checkpoint(tmp_path / "run")["ImageTextDataModule"]
    sizes = [len(ShardIndex.load(datasets / name / "train")) for name in ("shapesworld_basic", "emoji")]
    assert saved["samples_per_epoch"] == [round(sum(sizes) * 0.75), sum(sizes) - round(sum(sizes) * 0.75)]
    fit("vae", *arguments(4), "--ckpt_path=last")
    assert checkpoint(tmp_path / "run")["ImageTextDataModule"]["batches"] == 4
    assert main(["vae", "fit", *arguments(6), "--ckpt_path=last", "--data.shuffle_window=9"]) == 1
    assert (
        "the checkpoint's data order has shuffle_window = 262144, this run has 9" in capsys.readouterr().err
    )
