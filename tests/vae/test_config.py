from __future__ import annotations

from typing import Any

import pytest

from infinity.quantizers import QuantizerConfig
from infinity.vae import VAEConfig


def test_strides_and_bits_follow_from_levels_stem_and_patchify() -> None:
    official = VAEConfig()
    assert (official.stride, official.token_stride, official.num_bits, official.token_bits) == (
        16,
        16,
        32,
        32,
    )
    light = VAEConfig(
        quantizer=QuantizerConfig(num_bits=14),
        encoder_multipliers=[3, 4],  # pyright: ignore[reportArgumentType]  # as YAML gives it
        decoder_multipliers=(3, 4),
        stem_patch=4,
        patchify=2,
    )
    assert (light.stride, light.token_stride, light.num_bits, light.token_bits) == (8, 16, 14, 56)
    assert hash(light) == hash(light), "configs are usable as keys, lists from YAML included"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"encoder_multipliers": ()}, r"encoder_multipliers must be positive numbers, got \(\)"),
        ({"decoder_multipliers": (1, 0)}, r"decoder_multipliers must be positive numbers, got \(1, 0\)"),
        ({"encoder_multipliers": (1, 2)}, r"same number of levels.*\(1, 2\) and \(1, 2, 4, 4, 4\)"),
        ({"stem_patch": 0}, "stem_patch must be at least 1, got 0"),
        ({"num_res_blocks": 0}, "num_res_blocks must be at least 1, got 0"),
        ({"patchify": 3}, "patchify must be 1 or 2, got 3"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VAEConfig(**options)
