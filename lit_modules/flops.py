"""Floating-point operations of training the tokenizer; the transformer's have a closed form in the core."""

from __future__ import annotations

from functools import cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from infinity.schedules import ScaleSchedule
from infinity.vae import VAE, VAEConfig

__all__ = ["vae_training_flops"]


@cache
def vae_training_flops(config: VAEConfig, schedule: ScaleSchedule) -> int:
    """Of one image, forward and backward; counted on the meta device, where nothing is computed."""
    height, width = (side * config.token_stride for side in schedule.final)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = VAE(config).eval()
        net(torch.zeros(1, 3, height, width), schedule).recon_B3HW.sum().backward()
    return counter.get_total_flops()
