"""Caches of the small data sets, made by the command."""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.__main__ import main
from infinity.checkpoints.io import save_pretrained
from infinity.quantizers.config import QuantizerConfig
from infinity.text import HashingTextConfig
from infinity.vae import VAE, VAEConfig
from tests.datamodules.conftest import RESOLUTION

TEXT = HashingTextConfig(width=16, max_len=32)
SHAPE = [
    "--resolution.stride=8",
    f"--resolution.sides={list(RESOLUTION.sides)}",
    f"--resolution.aspect_ratios={list(RESOLUTION.aspect_ratios)}",
    "--num_workers=2",
]


def write_tokenizer(directory: Path) -> Path:
    config = VAEConfig(
        quantizer=QuantizerConfig(num_bits=4),
        base_channels=32,
        encoder_multipliers=(1,),
        decoder_multipliers=(1,),
        num_res_blocks=1,
        stem_patch=8,
    )
    save_pretrained(directory, VAE(config))
    return directory


def cache(root: Path, *options: object) -> list[str]:
    """Run the command; returns the directories of the caches."""
    assert main(["cache", str(root), *SHAPE, *map(str, options)]) == 0
    return sorted(str(path) for path in (root / "caches").iterdir())


def text_option(**changes: object) -> str:
    return f"--text={json.dumps({'kind': 'hashing', 'hashing': {'width': 16, 'max_len': 32, **changes}})}"
