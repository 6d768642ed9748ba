"""Floating-point operations of the tokenizer, counted on the meta device, where nothing is computed.

These are the convolutions; resizing between scales is left out: where it is done by matrix products, it adds
less than 0.1 %.
"""

from __future__ import annotations

from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from infinity.schedules import ScaleSchedule
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = ["vae_decoding_flops", "vae_encoding_flops", "vae_training_flops"]


@cache
def vae_encoding_flops(config: VAEConfig, schedule: ScaleSchedule) -> int:
    """From the pixels of one image to its features."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        VAE(config).encode(_image(config, schedule))
    return counter.get_total_flops()


@cache
def vae_decoding_flops(config: VAEConfig, schedule: ScaleSchedule) -> int:
    """From the summed codes of one image to its pixels."""
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        VAE(config).decode(torch.zeros(1, config.num_bits, *schedule.latent(config.patchify).final))
    return counter.get_total_flops()


@cache
def vae_training_flops(config: VAEConfig, schedule: ScaleSchedule) -> int:
    """Of one image, forward and backward."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        VAE(config).eval()(_image(config, schedule), schedule).recon_B3HW.sum().backward()
    return counter.get_total_flops()


def _image(config: VAEConfig, schedule: ScaleSchedule) -> torch.Tensor:
    height, width = (side * config.token_stride for side in schedule.final)
    return torch.zeros(1, 3, height, width)
