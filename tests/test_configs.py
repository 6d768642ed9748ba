"""Frozen dataclasses to JSON and back."""

from __future__ import annotations

import json

import pytest

from infinity.configs import config_from_dict, config_to_dict
from infinity.quantizers import QuantizerConfig
from infinity.sampling import SamplingConfig
from infinity.schedules import Resolution
from infinity.text import TextEncoderConfig
from infinity.transformer import InfinityConfig
from infinity.vae import VAEConfig

CONFIGS = [
    VAEConfig(quantizer=QuantizerConfig(num_bits=14), encoder_multipliers=(1, 2), decoder_multipliers=(3, 4)),
    InfinityConfig(depth=2, head="indexwise", token_bits=8),
    Resolution(stride=8, sides=(1, 2, 4), aspect_ratios=(1.0, 0.6)),
    SamplingConfig(guidance=(1.0, 2.0), temperature=0.5),
    TextEncoderConfig(),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_config_survives_json(config):
    text = json.dumps(config_to_dict(config))
    assert config_from_dict(type(config), json.loads(text)) == config


def test_missing_keys_take_their_defaults():
    assert config_from_dict(Resolution, {"stride": 8}) == Resolution(stride=8)


def test_an_unknown_key_is_named():
    with pytest.raises(ValueError, match="QuantizerConfig has no num_bit; it takes .*num_bits"):
        config_from_dict(VAEConfig, {"quantizer": {"num_bit": 8}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stride": "16"}, "Resolution.stride must be int, got '16'"),
        ({"stride": True}, "Resolution.stride must be int, got True"),
        ({"pixels": "2M"}, "Resolution.pixels must be .*0.06M.*, got '2M'"),
        ({"sides": [1, 2.5]}, "Resolution.sides must be int, got 2.5"),
    ],
)
def test_a_value_of_another_type_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        config_from_dict(Resolution, values)
