"""Losses of the tokenizer."""

from __future__ import annotations

from infinity.losses.autoencoder import AutoencoderLoss, AutoencoderLossConfig
from infinity.losses.discriminator import DiscriminatorConfig, PatchDiscriminator
from infinity.losses.perceptual import LPIPS, load_lpips

__all__ = [
    "LPIPS",
    "AutoencoderLoss",
    "AutoencoderLossConfig",
    "DiscriminatorConfig",
    "PatchDiscriminator",
    "load_lpips",
]
