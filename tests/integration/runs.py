"""Arguments of short runs, and what they leave behind."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from lit_modules.cli import main
from tests.static.project import ROOT

__all__ = [
    "Interrupt",
    "TINY_AR",
    "TINY_VAE",
    "checkpoint",
    "fit",
    "metrics",
    "recipe",
    "short",
    "write_yaml",
]

TINY_VAE = """
trainer: {accelerator: cpu, devices: 1, check_val_every_n_epoch: null, log_every_n_steps: 1}
model:
  vae:
    quantizer: {num_bits: 8}
    base_channels: 32
    encoder_multipliers: [1]
    decoder_multipliers: [1]
    num_res_blocks: 1
    stem_patch: 8
  optimizer: {lr: 1.0e-3}
data: {resolution: {stride: 8, sides: [1, 2, 4, 8]}, batch_size: 4}
images: {every_n_validations: 0}
"""
TINY_AR = """
trainer: {accelerator: cpu, devices: 1, check_val_every_n_epoch: null, log_every_n_steps: 1}
model:
  transformer: {depth: 2, width: 32, num_heads: 2, token_bits: 8, text_width: 32, text_max_len: 32}
  text: {hashing: {width: 32, max_len: 32}}
  optimizer: {lr: 1.0e-3}
data: {resolution: {stride: 8, sides: [1, 2, 4, 8]}, batch_size: 4}
images: {every_n_validations: 0}
"""


def write_yaml(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def recipe(kind: str, name: str) -> str:
    """A shipped configuration."""
    return f"--config={ROOT / 'configs' / kind / name}.yaml"


def short(steps: int, run: Path, data: Path) -> list[str]:
    """End after `steps`, with one validation at the end."""
    return [
        f"--trainer.max_steps={steps}",
        "--trainer.max_time=null",
        f"--trainer.val_check_interval={steps}",
        "--trainer.limit_val_batches=1",
        f"--trainer.default_root_dir={run}",
        f"--data.root={data}",
        "--data.num_workers=0",
    ]


def fit(kind: str, *argv: str | Path) -> None:
    """Train by the command, which has to succeed."""
    assert main([kind, "fit", *map(str, argv)]) == 0


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints/last.ckpt", weights_only=True)


def metrics(run: Path) -> dict[int, dict[str, float]]:
    """Logged values by step; of lines about one step, later ones add to earlier ones."""
    rows: dict[int, dict[str, float]] = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        rows.setdefault(row.pop("step"), {}).update(row)
    return rows


class Interrupt(Callback):
    """A signal to this process before a step; Ctrl-C if no other."""

    def __init__(self, step: int, number: int = signal.SIGINT) -> None:
        self.step = step
        self.number = number

    def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            signal.raise_signal(self.number)
