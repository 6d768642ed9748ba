"""Key table of the official tokenizer's checkpoints (FoundationVision/Infinity, ``infinity_vae_d*.pth``).

A released file holds the state dict under ``"vae"``. The model is stride 16 with five levels for d = 16, 24,
32 and 64; stride 8 with four levels and 2x2 patchify for d = 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from infinity.checkpoints.keymap import Drop, Rename, Rule, invert_rules, shape_of
from infinity.quantizers.config import QuantizerConfig
from infinity.vae.config import VAEConfig

__all__ = [
    "OFFICIAL_VAES",
    "export_official_vae",
    "infer_official_vae",
    "official_vae_rules",
]

OFFICIAL_VAES: dict[str, VAEConfig] = {
    **{
        f"infinity_vae_{name}": VAEConfig(quantizer=QuantizerConfig(num_bits=num_bits))
        for name, num_bits in {"d16": 16, "d24": 24, "d32": 32, "d32reg": 32, "d64": 64}.items()
    },
    "infinity_vae_d56_f8_14_patchify": VAEConfig(
        quantizer=QuantizerConfig(num_bits=14),
        encoder_multipliers=(1, 2, 4, 4),
        decoder_multipliers=(1, 2, 4, 4),
        patchify=2,
    ),
}
"""Configs of the released tokenizers, by file name."""


def official_vae_rules(config: VAEConfig) -> list[Rule]:
    """The table for one architecture; we list the decoder's levels as they run, they by resolution."""
    if config.stem_patch != 1 or config.quantizer.kind != "bsq":
        raise ValueError(
            "official tokenizers have stem_patch 1 and quantizer kind bsq, "
            f"got {config.stem_patch} and {config.quantizer.kind}"
        )
    num_levels = len(config.encoder_multipliers)
    rules: list[Rule] = []
    for coder in ("encoder", "decoder"):
        rules += [
            Rename(f"{coder}.conv_in.conv.{{p}}", f"{coder}.conv_in.{{p}}"),
            Rename(f"{coder}.conv_out.conv.{{p}}", f"{coder}.conv_out.{{p}}"),
            Rename(f"{coder}.norm_out.norm.{{p}}", f"{coder}.norm_out.{{p}}"),
            *_res_block(f"{coder}.mid.block_1", f"{coder}.middle.0"),
            *_res_block(f"{coder}.mid.block_2", f"{coder}.middle.1"),
        ]
    for level in range(num_levels):
        down, up = f"encoder.levels.{level}", f"decoder.levels.{num_levels - 1 - level}"
        for i in range(config.num_res_blocks):
            rules += _res_block(f"encoder.down.{level}.block.{i}", f"{down}.{i}")
        for i in range(config.num_res_blocks + 1):
            rules += _res_block(f"decoder.up.{level}.block.{i}", f"{up}.{i}")
        if level < num_levels - 1:
            name = f"encoder.down.{level}.downsample.conv.conv.{{p}}"
            rules.append(Rename(name, f"{down}.{config.num_res_blocks}.conv.{{p}}"))
        if level > 0:
            name = f"decoder.up.{level}.upsample.conv.conv.{{p}}"
            rules.append(Rename(name, f"{up}.{config.num_res_blocks + 1}.conv.{{p}}"))
    # powers of two for packing indices, stored twice as the quantizer hangs in the module under two names
    rules += [Drop(f"{alias}.lfq.mask", _powers_of_two) for alias in ("quantizer", "quantize")]
    return rules


def export_official_vae(ours: Mapping[str, Tensor], config: VAEConfig) -> dict[str, Tensor]:
    """The official state dict from ours."""
    return invert_rules(official_vae_rules(config), ours)


def infer_official_vae(theirs: Mapping[str, Tensor], patchify: Literal[1, 2] | None = None) -> VAEConfig:
    """Read the architecture off an official state dict's names and shapes.

    Args:
        patchify: latent cells per token side, which no shape tells; the official rule if not given: 2 with
            stride 8, else 1.
    """
    base_channels = shape_of(theirs, "encoder.conv_in.conv.weight", 4)[0]
    encoder_widths = _channels(theirs, "encoder.down.{}.block.0")
    decoder_widths = _channels(theirs, "decoder.up.{}.block.0")
    return VAEConfig(
        quantizer=QuantizerConfig(num_bits=shape_of(theirs, "encoder.conv_out.conv.weight", 4)[0]),
        base_channels=base_channels,
        encoder_multipliers=tuple(width // base_channels for width in encoder_widths),
        decoder_multipliers=tuple(width // base_channels for width in decoder_widths),
        num_res_blocks=len(_channels(theirs, "encoder.down.0.block.{}")),
        patchify=patchify or (2 if len(encoder_widths) == 4 else 1),
    )


def _channels(theirs: Mapping[str, Tensor], blocks: str) -> list[int]:
    """Output channels of residual blocks numbered from 0, as many as there are."""
    channels: list[int] = []
    while (name := f"{blocks.format(len(channels))}.conv1.conv.weight") in theirs:
        channels.append(shape_of(theirs, name, 4)[0])
    return channels


def _res_block(theirs: str, ours: str) -> list[Rule]:
    return [
        Rename(f"{theirs}.norm{{n}}.norm.{{p}}", f"{ours}.norm{{n}}.{{p}}"),
        Rename(f"{theirs}.conv{{n}}.conv.{{p}}", f"{ours}.conv{{n}}.{{p}}"),
        Rename(f"{theirs}.nin_shortcut.conv.{{p}}", f"{ours}.skip.{{p}}"),
    ]


def _powers_of_two(ours: Mapping[str, Tensor]) -> Tensor:
    num_bits = ours["encoder.conv_out.weight"].shape[0]
    return 2 ** torch.arange(num_bits - 1, -1, -1)
