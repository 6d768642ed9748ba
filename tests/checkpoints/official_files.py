"""Official state dicts with random weights, small enough for any test."""

from __future__ import annotations

import torch
from torch import Tensor

from infinity.checkpoints.official_ar import export_official_transformer
from infinity.checkpoints.official_vae import export_official_vae
from infinity.quantizers import QuantizerConfig
from infinity.transformer import Infinity, InfinityConfig
from infinity.vae import VAE, VAEConfig

VAE_CONFIG = VAEConfig(
    quantizer=QuantizerConfig(num_bits=4),
    base_channels=8,
    encoder_multipliers=(1, 1, 1, 2, 2),
    decoder_multipliers=(1, 1, 1, 2, 1),
    num_res_blocks=1,
)
TRANSFORMER_CONFIG = InfinityConfig(
    depth=4,
    width=32,
    num_heads=2,
    token_bits=4,
    text_width=16,
    text_max_len=12,
    num_chunks=2,
    gamma_init=1.0,
)


def official_vae() -> tuple[VAE, dict[str, Tensor]]:
    """A tokenizer of stride 16 and its official state dict."""
    torch.manual_seed(0)
    model = VAE(VAE_CONFIG).eval()
    return model, export_official_vae(model.state_dict(), model.config)


def official_transformer(*, chunked: bool = True) -> tuple[Infinity, dict[str, Tensor]]:
    """A transformer for that tokenizer and its official state dict."""
    torch.manual_seed(0)
    model = Infinity(TRANSFORMER_CONFIG).eval()
    return model, export_official_transformer(model.state_dict(), model.config, chunked=chunked)
