"""Frozen dataclasses: checked choices, to JSON and back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, get_origin, get_type_hints

import pytest

from infinity.configs import config_from_dict, config_to_dict
from infinity.losses import AutoencoderLossConfig, DiscriminatorConfig
from infinity.objectives import ARObjectiveConfig
from infinity.quantizers import QuantizerConfig
from infinity.sampling import SamplingConfig
from infinity.schedules import Resolution
from infinity.self_correction import SelfCorrectionConfig
from infinity.text import HuggingFaceTextConfig, TextEncoderConfig
from infinity.transformer import InfinityConfig
from infinity.vae import VAEConfig

CONFIGS = [
    VAEConfig(quantizer=QuantizerConfig(num_bits=14), encoder_multipliers=(1, 2), decoder_multipliers=(3, 4)),
    InfinityConfig(depth=2, head="indexwise", token_bits=8),
    Resolution(stride=8, sides=(1, 2, 4), aspect_ratios=(1.0, 0.6)),
    SamplingConfig(guidance=(1.0, 2.0), temperature=0.5),
    TextEncoderConfig(),
]
WITH_CHOICES = [
    ARObjectiveConfig,
    AutoencoderLossConfig,
    DiscriminatorConfig,
    HuggingFaceTextConfig,
    InfinityConfig,
    QuantizerConfig,
    Resolution,
    SelfCorrectionConfig,
    TextEncoderConfig,
    VAEConfig,
]


@dataclass(frozen=True, kw_only=True)
class Pair:
    ends: tuple[int, float] = (0, 1.0)
    name: str | None = None


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: type(config).__name__)
def test_a_config_survives_json(config):
    text = json.dumps(config_to_dict(config))
    assert config_from_dict(type(config), json.loads(text)) == config


def test_missing_keys_take_their_defaults():
    assert config_from_dict(Resolution, {"stride": 8}) == Resolution(stride=8)


def test_whole_numbers_become_floats_where_floats_are_asked_for():
    config = config_from_dict(SamplingConfig, {"guidance": [1, 2], "temperature": 1})
    assert json.dumps(config_to_dict(config)) == json.dumps(
        config_to_dict(SamplingConfig(guidance=(1.0, 2.0), temperature=1.0))
    )


def test_tuples_of_several_types_and_nothing_are_values():
    assert config_from_dict(Pair, {"ends": [2, 3], "name": None}) == Pair(ends=(2, 3.0))
    assert config_from_dict(Pair, {"name": "a"}) == Pair(name="a")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"quantizer": {"num_bit": 8}}, "VAEConfig.quantizer has no num_bit; it takes .*num_bits"),
        ({"quantiser": {}, 3: 4}, "VAEConfig has no 3, quantiser; it takes .*quantizer"),
    ],
)
def test_an_unknown_key_is_named(values, message):
    with pytest.raises(ValueError, match=message):
        config_from_dict(VAEConfig, values)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Resolution, {"stride": "16"}, "Resolution.stride must be int, got '16'"),
        (Resolution, {"stride": True}, "Resolution.stride must be int, got True"),
        (Resolution, {"pixels": "2M"}, "Resolution.pixels must be '0.06M' or .* or '1M', got '2M'"),
        (Resolution, {"pixels": ["1M"]}, "Resolution.pixels must be .* or '1M', got ['1M']"),
        (Resolution, {"sides": [1, 2.5]}, "Resolution.sides[1] must be int, got 2.5"),
        (Resolution, {"sides": "124"}, "Resolution.sides must be tuple[int, ...], got '124'"),
        (Resolution, {"sides": 4}, "Resolution.sides must be tuple[int, ...], got 4"),
        (Resolution, [], "Resolution must be a mapping with the fields of Resolution, got []"),
        (VAEConfig, {"patchify": True}, "VAEConfig.patchify must be 1 or 2, got True"),
        (VAEConfig, {"quantizer": {"num_bits": "8"}}, "VAEConfig.quantizer.num_bits must be int, got '8'"),
        (VAEConfig, {"quantizer": {"detach_residual": 1}}, "quantizer.detach_residual must be bool, got 1"),
        (
            VAEConfig,
            {"quantizer": "bsq"},
            "VAEConfig.quantizer must be a mapping .* QuantizerConfig, got 'bsq'",
        ),
        (
            SamplingConfig,
            {"guidance": "2"},
            "SamplingConfig.guidance must be float | tuple[float, ...], got '2'",
        ),
        (SamplingConfig, {"guidance": [1.0, None]}, "SamplingConfig.guidance[1] must be float, got None"),
        (Pair, {"ends": [1]}, "Pair.ends must be tuple[int, float], got [1]"),
        (Pair, {"ends": [1.5, 2.0]}, "Pair.ends[0] must be int, got 1.5"),
        (Pair, {"name": 3}, "Pair.name must be str | None, got 3"),
    ],
)
def test_a_value_of_another_type_is_refused_in_one_sentence(kind: type, values: Any, message: str):
    with pytest.raises(ValueError, match=re.escape(message).replace(r"\.\*", ".*")) as raised:
        config_from_dict(kind, values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", WITH_CHOICES, ids=lambda kind: kind.__name__)
def test_a_wrong_choice_is_refused_from_python_too(kind: type):
    fields = [name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Literal]
    assert fields
    for name in fields:
        for value in ("no such choice", None, ["list"]):
            with pytest.raises(ValueError, match=rf"{name} must be .* or .*, got {re.escape(repr(value))}"):
                kind(**{name: value})
