"""The whole chain learns: 8 images with their captions, by heart."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from datamodules.folder import folder_dataset
from datamodules.packing import pack_dataset
from infinity.checkpoints.io import save_pretrained
from infinity.quantizers.config import QuantizerConfig
from infinity.vae import VAE, VAEConfig
from tests.integration.runs import fit, metrics, write_yaml

CONFIG = """
seed_everything: 1
trainer:
  accelerator: cpu
  devices: 1
  max_steps: 250
  check_val_every_n_epoch: null
  val_check_interval: 250
model:
  transformer: {depth: 3, width: 64, num_heads: 2, token_bits: 6, text_width: 32, text_max_len: 16,
                condition_dropout: 0.0}
  text: {hashing: {width: 32, max_len: 16}}
  objective: {self_correction: {mode: "off"}}
  optimizer: {lr: 4.0e-3, warmup_steps: 20, schedule: linear, decay_start: 0.5}
  feature_cache_mib: 1
data: {resolution: {stride: 8, sides: [1, 2, 4]}, batch_size: 8, val_split: train}
ema: {decay: 0.0}
images: {every_n_validations: 0}
"""


def test_a_tiny_transformer_learns_8_images_by_heart(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    first = ["red", "green", "blue", "black", "white", "gray", "pink", "gold"]
    words = [*first, "teal", "navy", "lime", "plum", "coral", "olive", "tan", "aqua"]
    for i, word in enumerate(words):
        image = Image.new("RGB", (32, 32), word)
        image.paste((40 * (i % 6), 255 - 15 * i, 128), (4 * (i % 4), 8, 4 * (i % 4) + 16, 28))
        image.save(pictures / f"{i}.png")
        (pictures / f"{i}.txt").write_text(f"something {word}")
    counts = pack_dataset(tmp_path / "data", folder_dataset(pictures, 0.3))["counts"]
    assert counts["train"] >= 8
    levels = {"encoder_multipliers": (1,), "decoder_multipliers": (1,), "stem_patch": 8}
    config = VAEConfig(quantizer=QuantizerConfig(num_bits=6), base_channels=32, num_res_blocks=1, **levels)
    save_pretrained(tmp_path / "vae", VAE(config))
    run = tmp_path / "run"
    fit(
        "ar",
        f"--config={write_yaml(tmp_path / 'ar.yaml', CONFIG)}",
        f"--data.root={tmp_path / 'data'}",
        f"--model.vae={tmp_path / 'vae'}",
        f"--trainer.default_root_dir={run}",
    )
    last = max(metrics(run).items())[1]
    assert last["val/bit_accuracy"] > 0.99
