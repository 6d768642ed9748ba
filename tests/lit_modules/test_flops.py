from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import build_schedule
from infinity.vae import VAE, VAEConfig
from lit_modules.flops import vae_training_flops


def test_operations_counted_on_the_meta_device_are_those_of_a_real_step() -> None:
    config = VAEConfig(
        quantizer=QuantizerConfig(num_bits=4),
        base_channels=32,
        encoder_multipliers=(1, 2),
        decoder_multipliers=(1, 2),
        num_res_blocks=1,
        stem_patch=2,
    )
    schedule = build_schedule(1.0, (1, 2, 4))
    with FlopCounterMode(display=False) as counter:
        VAE(config)(torch.rand(2, 3, 16, 16), schedule).recon_B3HW.sum().backward()
    assert 2 * vae_training_flops(config, schedule) == counter.get_total_flops()
