from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import build_schedule
from infinity.vae import VAE, VAEConfig
from infinity.vae.flops import vae_decoding_flops, vae_encoding_flops, vae_training_flops

CONFIG = VAEConfig(
    quantizer=QuantizerConfig(num_bits=4),
    base_channels=32,
    encoder_multipliers=(1, 2),
    decoder_multipliers=(1, 2),
    num_res_blocks=1,
    stem_patch=2,
    patchify=2,
)
WIDE = build_schedule(0.5, (1, 2, 4))
HEIGHT, WIDTH = (side * CONFIG.token_stride for side in WIDE.final)


def test_operations_counted_on_the_meta_device_are_those_of_a_real_step() -> None:
    with FlopCounterMode(display=False) as counter:
        VAE(CONFIG)(torch.rand(2, 3, HEIGHT, WIDTH), WIDE).recon_B3HW.sum().backward()
    # on CPUs, resizing between scales is done by matrices, too
    assert 2 * vae_training_flops(CONFIG, WIDE) == pytest.approx(counter.get_total_flops(), rel=1e-3)


def test_operations_of_encoding_and_decoding_are_those_of_real_images() -> None:
    vae = VAE(CONFIG)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        features = vae.encode(torch.rand(2, 3, HEIGHT, WIDTH))
    assert 2 * vae_encoding_flops(CONFIG, WIDE) == counter.get_total_flops()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.decode(features)
    assert 2 * vae_decoding_flops(CONFIG, WIDE) == counter.get_total_flops()
