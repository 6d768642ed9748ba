"""The tokenizer: images to a pyramid of bits and back (paper section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from infinity.quantizers import build_quantizer
from infinity.randomness import Randomness
from infinity.schedules import ScaleSchedule
from infinity.types import MultiScaleCodes
from infinity.vae.config import VAEConfig
from infinity.vae.decoder import Decoder
from infinity.vae.encoder import Encoder

__all__ = ["VAE", "VAEOutput"]


class VAEOutput(NamedTuple):
    """A batch of images, coded and decoded."""

    recon_B3HW: Tensor  # fp32, not clamped
    codes: MultiScaleCodes


class VAE(nn.Module):
    """Encoder, multi-scale residual quantizer and decoder.

    Images are RGB in [-1, 1] with sides divisible by ``config.token_stride``; schedules are given in
    *tokens*, as the transformer counts them. Features are always fp32, whatever precision the convolutions
    run in. To train on a CPU leave the memory format alone: the backward pass of bf16 GroupNorm is ten times
    slower there on channels_last tensors (a whole training step of a small model 1.6 times).
    """

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = build_quantizer(config.quantizer)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def for_inference(self, dtype: torch.dtype = torch.float32) -> VAE:
        """Freeze the model and store its networks in `dtype` and channels_last, in place.

        Without a backward pass channels_last is faster everywhere.
        """
        for net in (self.encoder, self.decoder):
            net.to(dtype=dtype).to(memory_format=torch.channels_last)
        return self.eval().requires_grad_(False)

    @property
    def last_layer(self) -> Tensor:
        """Weight of the last convolution, where the adaptive adversarial weight measures gradients."""
        return self.decoder.conv_out.weight

    def encode(self, images_B3HW: Tensor) -> Tensor:
        """Continuous features, one per latent cell, not normalised: fp32, (B, D, H / stride, W / stride)."""
        height, width = images_B3HW.shape[-2:]
        if height % self.config.token_stride or width % self.config.token_stride:
            raise ValueError(
                f"image sides must be multiples of {self.config.token_stride} (pixels per token), "
                f"got {height}x{width}; resize and crop first"
            )
        return self.encoder(images_B3HW.to(self.encoder.conv_in.weight.dtype)).float()

    def quantize(
        self, features_BDHW: Tensor, schedule: ScaleSchedule, *, generator: Randomness | None = None
    ) -> MultiScaleCodes:
        """Code features scale by scale; `generator` is needed for stochastic scale depth in training only."""
        return self.quantizer(features_BDHW, schedule.latent(self.config.patchify), generator=generator)

    def decode(self, features_BDHW: Tensor) -> Tensor:
        """Images from summed codes: fp32, not clamped."""
        return self.decoder(features_BDHW.to(self.decoder.conv_in.weight.dtype)).float()

    @torch.no_grad()
    def tokenize(self, images_B3HW: Tensor, schedule: ScaleSchedule) -> MultiScaleCodes:
        """Code images, every scale of them even in training mode, without gradients and losses."""
        latent = schedule.latent(self.config.patchify)
        bits = self.quantizer.bits_of(self.encode(images_B3HW), latent)
        return MultiScaleCodes(self.quantizer.sum_codes(bits, latent), bits, {})

    def detokenize(self, bits: Sequence[Tensor], schedule: ScaleSchedule) -> Tensor:
        """Images in [-1, 1] from the bits (B, D, h, w) of every scale, or of the first ones (coarser)."""
        features_BDHW = self.quantizer.sum_codes(bits, schedule.latent(self.config.patchify))
        return self.decode(features_BDHW).clamp(-1, 1)

    def forward(
        self, images_B3HW: Tensor, schedule: ScaleSchedule, *, generator: Randomness | None = None
    ) -> VAEOutput:
        """Reconstruct images through their codes, with straight-through gradients."""
        codes = self.quantize(self.encode(images_B3HW), schedule, generator=generator)
        return VAEOutput(self.decode(codes.features_BDHW), codes)
