"""A pipeline with random weights, small enough for any test."""

from __future__ import annotations

from infinity.pipeline import InfinityPipeline
from infinity.quantizers import QuantizerConfig
from infinity.schedules import Resolution
from infinity.text import HashingTextConfig, TextEncoderConfig
from infinity.transformer import Infinity, InfinityConfig
from infinity.vae import VAE, VAEConfig

__all__ = ["tiny_pipeline"]


def tiny_pipeline(*, aspect_ratios: tuple[float, ...] = (1.0, 0.6)) -> InfinityPipeline:
    """Images of about 64 x 64 pixels, 21 tokens of 16 bits."""
    vae = VAEConfig(
        quantizer=QuantizerConfig(num_bits=4),
        base_channels=8,
        encoder_multipliers=(1, 1),
        decoder_multipliers=(1, 1),
        num_res_blocks=1,
        stem_patch=4,
        patchify=2,
    )
    text = TextEncoderConfig(hashing=HashingTextConfig(width=32, max_len=16))
    transformer = InfinityConfig(
        depth=2, width=32, num_heads=2, token_bits=16, text_width=32, text_max_len=16, gamma_init=1.0
    )
    return InfinityPipeline(
        VAE(vae),
        Infinity(transformer),
        text=text,
        resolution=Resolution(stride=16, sides=(1, 2, 4), aspect_ratios=aspect_ratios),
    )
