"""Memory of the frozen tokenizer, in bytes; a few images pass it at a time."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch

from infinity.schedules import ScaleSchedule
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE
from infinity.vae.parts import images_at_once

__all__ = ["decoding_bytes", "encoding_bytes", "tokenizer_bytes", "tokenizer_parameters"]

_FLOAT = 4


def tokenizer_parameters(vae: VAEConfig) -> int:
    """Parameters of encoder, quantizer and decoder."""
    return _parameters(vae).networks + _parameters(vae).codebook


def tokenizer_bytes(vae: VAEConfig, number: int) -> int:
    """Weights of a tokenizer whose networks (but no codebook) are stored in numbers of so many bytes."""
    return _parameters(vae).networks * number + _parameters(vae).codebook * _FLOAT


class _Parameters(NamedTuple):
    networks: int
    codebook: int


def encoding_bytes(vae: VAEConfig, schedule: ScaleSchedule, batch_size: int, number: int) -> int:
    """Most bytes at a time in the encoder, whose maps consist of numbers of so many bytes.

    The moment is a residual block at full resolution: what its level and it read, and three maps of its own.
    """
    width = vae.base_channels * vae.encoder_multipliers[0]
    maps = 4 if vae.num_res_blocks == 1 else 5  # the first block reads what its level does
    return _full_resolution(vae, schedule, batch_size) * maps * width * number


def decoding_bytes(vae: VAEConfig, schedule: ScaleSchedule, batch_size: int, number: int) -> int:
    """The same in the decoder, whose last level reads the wider maps of the level before."""
    width = vae.base_channels * vae.decoder_multipliers[0]
    before = vae.base_channels * vae.decoder_multipliers[:2][-1]
    return _full_resolution(vae, schedule, batch_size) * max(3 * before, before + 4 * width) * number


def _full_resolution(vae: VAEConfig, schedule: ScaleSchedule, batch_size: int) -> int:
    """Cells of the tokenizer's largest maps, of all images that pass it at a time."""
    height, width = (side * vae.token_stride for side in schedule.final)
    return min(batch_size, images_at_once(height, width)) * height * width // vae.stem_patch**2


@cache
def _parameters(vae: VAEConfig) -> _Parameters:
    with torch.device("meta"):
        net = VAE(vae)
    codebook, everything = (
        sum(parameter.numel() for parameter in module.parameters()) for module in (net.quantizer, net)
    )
    return _Parameters(everything - codebook, codebook)
