"""Memory of the tokenizer against what it holds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from infinity.planning.tokenizer import (
    decoding_bytes,
    encoding_bytes,
    tokenizer_bytes,
    tokenizer_parameters,
)
from infinity.quantizers import QuantizerConfig
from infinity.schedules import build_schedule, paper_schedule
from infinity.vae import VAE, VAEConfig
from infinity.vae.parts import decode_in_parts, encode_in_parts
from tests.planning.live_bytes import LiveBytes

WIDE = build_schedule(0.5, (1, 2, 4))
CONFIGS = [
    {},
    {"encoder_multipliers": (1, 1), "decoder_multipliers": (1, 1), "num_res_blocks": 1, "stem_patch": 4},
]
DTYPES = [torch.float32, torch.bfloat16]


def small(**options: Any) -> VAEConfig:
    return VAEConfig(base_channels=32, quantizer=QuantizerConfig(num_bits=4), patchify=2, **options)


@pytest.mark.parametrize("options", CONFIGS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_encoding_and_decoding_peak_exactly_where_planned(options: dict, dtype: torch.dtype) -> None:
    config = small(**options)
    with torch.device("meta"), torch.no_grad():
        vae = VAE(config).for_inference(dtype)
        height, width = (side * config.token_stride for side in WIDE.final)
        images = torch.zeros(1, 3, height, width, dtype=dtype)
        features = torch.zeros(1, 4, *WIDE.latent(2).final, dtype=dtype)
        with LiveBytes() as encoding:
            vae.encoder(images)
        with LiveBytes() as decoding:
            vae.decoder(features)
    assert encoding.peak == encoding_bytes(config, WIDE, 1, dtype.itemsize)
    assert decoding.peak == decoding_bytes(config, WIDE, 1, dtype.itemsize)


@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_take_what_they_are_stored_in(dtype: torch.dtype) -> None:
    vae = VAE(small()).for_inference(dtype)
    assert tokenizer_bytes(vae.config, dtype.itemsize) == sum(p.nbytes for p in vae.parameters())
    assert tokenizer_parameters(vae.config) == sum(p.numel() for p in vae.parameters())


def test_many_images_take_no_more_than_those_that_pass_at_a_time() -> None:
    config, schedule = small(), paper_schedule(1.0, "0.60M")
    with torch.device("meta"), torch.no_grad():
        vae = VAE(config).for_inference()
        height, width = (side * config.token_stride for side in schedule.final)
        images = torch.zeros(4, 3, height, width)
        with LiveBytes() as encoding:
            features = encode_in_parts(vae, images)
        with LiveBytes() as decoding:
            decode_in_parts(vae, features)
    assert encoding_bytes(config, schedule, 4, 4) == encoding_bytes(config, schedule, 1, 4)
    assert encoding_bytes(config, schedule, 4, 4) == pytest.approx(encoding.peak, rel=0.05)
    assert decoding_bytes(config, schedule, 4, 4) == pytest.approx(decoding.peak, rel=0.1)
