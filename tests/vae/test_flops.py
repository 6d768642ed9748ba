from __future__ import annotations

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
    assert 2 * vae_training_flops(CONFIG, WIDE) == counter.get_total_flops()


def test_operations_of_coding_and_decoding_are_those_of_real_images() -> None:
    vae = VAE(CONFIG)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        codes = vae.tokenize(torch.rand(2, 3, HEIGHT, WIDTH), WIDE)
    assert 2 * vae_encoding_flops(CONFIG, WIDE) == counter.get_total_flops()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.detokenize(codes.bits, WIDE)
    assert 2 * vae_decoding_flops(CONFIG, WIDE) == counter.get_total_flops()
