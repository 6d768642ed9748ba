"""The whole chain learns: 8 images with their captions, by heart; and what it learnt can be edited."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.folder import folder_dataset
from datamodules.packing import pack_dataset
from infinity.checkpoints.io import save_pretrained
from infinity.editing import coarse_to_fine, load_bits, reconstruct, redraw, save_bits
from infinity.images import to_tensor
from infinity.inpainting import inpaint
from infinity.pipeline import InfinityPipeline
from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import build_schedule
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
  transformer: {depth: 3, width: 64, num_heads: 2, token_bits: 12, text_width: 32, text_max_len: 16,
                condition_dropout: 0.0}
  text: {hashing: {width: 32, max_len: 16}}
  objective: {self_correction: {mode: "off"}}
  sampling: {guidance: 1.0, temperature: 0.0}
  optimizer: {lr: 4.0e-3, warmup_steps: 20, schedule: linear, decay_start: 0.5}
  feature_cache_mib: 1
data: {resolution: {stride: 8, sides: [1, 2, 4]}, batch_size: 8, val_split: train}
ema: {decay: 0.0}
images: {every_n_validations: 0}
"""
WORDS = ("red", "green", "blue", "black", "white", "gray", "pink", "gold",
         "teal", "navy", "lime", "plum", "coral", "olive", "tan", "aqua")  # fmt: skip


class Learned(NamedTuple):
    """A trained pipeline and the pictures that it knows, by prompt."""

    pipeline: InfinityPipeline
    pictures: dict[str, Image.Image]
    bit_accuracy: float


def _trained_tokenizer(pictures: list[Image.Image]) -> VAE:
    torch.manual_seed(0)
    levels = {"encoder_multipliers": (1,), "decoder_multipliers": (1,), "stem_patch": 8}
    config = VAEConfig(quantizer=QuantizerConfig(num_bits=12), base_channels=48, num_res_blocks=1, **levels)
    vae, images_B3HW, schedule = VAE(config), to_tensor(pictures), build_schedule(1.0, (1, 2, 4))
    optimizer = torch.optim.Adam(vae.parameters(), lr=3e-3)
    for _ in range(300):
        loss = (vae(images_B3HW, schedule).recon_B3HW - images_B3HW).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return vae


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    root = tmp_path_factory.mktemp("overfit")
    folder = root / "pictures"
    folder.mkdir()
    pictures = {}
    for i, word in enumerate(WORDS):
        image = Image.new("RGB", (32, 32), word)
        image.paste((40 * (i % 6), 255 - 15 * i, 128), (4 * (i % 4), 8, 4 * (i % 4) + 16, 28))
        image.save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(f"something {word}")
        pictures[f"something {word}"] = image
    assert pack_dataset(root / "data", folder_dataset(folder, 0.3))["counts"]["train"] >= 8
    save_pretrained(root / "vae", _trained_tokenizer(list(pictures.values())))
    run = root / "run"
    fit(
        "ar",
        f"--config={write_yaml(root / 'ar.yaml', CONFIG)}",
        f"--data.root={root / 'data'}",
        f"--model.vae={root / 'vae'}",
        f"--trainer.default_root_dir={run}",
    )
    last = max(metrics(run).items())[1]
    pipeline = InfinityPipeline.from_pretrained(run / "export")
    known = {}  # those of the training split: drawn as the tokenizer codes them
    for prompt, image in pictures.items():
        if psnr(pipeline(prompt).images[0], reconstruct(pipeline, [image]).images[0]) > 30:
            known[prompt] = image
    return Learned(pipeline, known, last["val/bit_accuracy"])


def psnr(first: Image.Image, second: Image.Image, columns: slice = slice(None)) -> float:
    a, b = (np.asarray(image, dtype=np.float64)[:, columns] for image in (first, second))
    return float(10 * np.log10(255**2 / max(((a - b) ** 2).mean(), 1e-9)))


def test_a_tiny_transformer_learns_8_images_by_heart(learned: Learned) -> None:
    assert learned.bit_accuracy > 0.99
    assert len(learned.pictures) >= 8


def test_its_tokenizer_gives_images_back_and_they_survive_as_packed_bits(learned: Learned, tmp_path) -> None:
    images = list(learned.pictures.values())
    output = reconstruct(learned.pipeline, images)
    assert min(map(psnr, images, output.images)) > 18
    bits = tuple(scale[:1] for scale in output.bits)
    save_bits(learned.pipeline, bits, tmp_path / "image.bits")
    strip = coarse_to_fine(learned.pipeline, load_bits(learned.pipeline, tmp_path / "image.bits"))
    quality = [psnr(step[0], images[0]) for step in strip]
    assert quality == sorted(quality)
    assert psnr(strip[-1][0], output.images[0]) > 50


def test_redrawing_keeps_the_first_scales_and_follows_the_prompt(learned: Learned) -> None:
    pipeline, (first, second) = learned.pipeline, list(learned.pictures)[:2]
    drawn = {prompt: pipeline(prompt) for prompt in (first, second)}
    again = redraw(pipeline, drawn[first].bits, first, keep_scales=1)
    assert all(torch.equal(a, b) for a, b in zip(again.bits, drawn[first].bits, strict=True))
    other = redraw(pipeline, drawn[first].bits, second, keep_scales=0)
    assert psnr(other.images[0], drawn[second].images[0]) > 50
    mixed = redraw(pipeline, drawn[first].bits, second, keep_scales=1)
    assert torch.equal(mixed.bits[0], drawn[first].bits[0])


def test_inpainting_redraws_the_masked_half_as_it_knows_the_image(learned: Learned) -> None:
    prompt, image = next(iter(learned.pictures.items()))
    damaged = image.copy()
    damaged.paste("black", (16, 0, 32, 32))
    mask = Image.new("L", (32, 32))
    mask.paste(255, (16, 0, 32, 32))
    [repaired] = inpaint(learned.pipeline, damaged, mask, prompt).images
    half = slice(16, None)
    assert psnr(repaired, image, half) > psnr(damaged, image, half) + 6
    assert psnr(repaired, image, slice(0, 16)) > 50  # known pixels are put back
