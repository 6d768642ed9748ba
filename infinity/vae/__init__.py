"""The convolutional tokenizer."""

from __future__ import annotations

from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE, VAEOutput

__all__ = ["VAE", "VAEConfig", "VAEOutput"]
