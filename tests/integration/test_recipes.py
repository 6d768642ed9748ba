"""Every complete recipe that ships runs end to end: tokenizer, transformer, pictures, export, drawing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from infinity.pipeline import InfinityPipeline
from tests.integration.runs import checkpoint, fit, metrics, recipe, short
from tests.static.project import ROOT

STEMS = [{path.stem for path in (ROOT / "configs" / kind).glob("*.yaml")} for kind in ("data", "vae")]
RECIPES = sorted(set.intersection(*STEMS))


@pytest.mark.parametrize("name", RECIPES)
def test_two_steps_of_every_recipe_end_in_a_model_that_draws(
    name: str, tmp_path: Path, datasets: Path
) -> None:
    vae, ar = tmp_path / "vae", tmp_path / "ar"
    options = ["--data.batch_size=4", "--trainer.log_every_n_steps=1"]
    fit("vae", recipe("vae", name), *short(2, vae, datasets / name), *options)
    tokenizer = f"--model.vae={vae / 'export'}"
    fit("ar", recipe("ar", name), tokenizer, *short(2, ar, datasets / name), *options)
    for run in (vae, ar):
        assert checkpoint(run)["global_step"] == 2
        assert (run / "checkpoints/best.ckpt").is_file()
        assert (run / "config.yaml").is_file()
        assert Image.open(run / "images/step_0000002.png").width > 64
        assert EventAccumulator(str(run), {"images": 0}).Reload().Tags()["images"] == ["val/preview"]
        logged = {name for row in metrics(run).values() for name in row}
        assert logged >= {"train/loss", "train/lr", "val/loss", "perf/images_per_s", "perf/matmul_share"}
    assert "val/bit_accuracy/scale_03" in logged
    pipeline = InfinityPipeline.from_pretrained(ar / "export")
    ratio = pipeline.resolution.aspect_ratios[-1]
    drawn = pipeline("a red square", aspect_ratio=ratio, output_type="pt").images
    assert isinstance(drawn, torch.Tensor)
    assert drawn.shape == (1, 3, *pipeline.resolution.image_size(ratio))
