"""Sampling settings."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from infinity.configs import config_to_dict
from infinity.sampling import SamplingConfig
from infinity.sampling.config import parse_per_scale
from tests.transformer.tiny import SQUARE


def test_one_value_serves_all_scales() -> None:
    assert SamplingConfig(guidance=2.5).per_scale("guidance", SQUARE) == (2.5, 2.5, 2.5)


def test_a_list_has_one_value_per_scale_and_becomes_a_tuple() -> None:
    config = SamplingConfig(temperature=[1.0, 0.5, 0])  # type: ignore[arg-type]
    assert config.temperature == (1.0, 0.5, 0)
    assert config.per_scale("temperature", SQUARE) == (1.0, 0.5, 0)
    assert hash(config) == hash(SamplingConfig(temperature=(1.0, 0.5, 0)))


@pytest.mark.parametrize("name", ["guidance", "temperature", "top_p"])
def test_numpys_numbers_and_arrays_are_python_s(name: str) -> None:
    for given, expected in (
        (np.float32(0.5), 0.5),
        (np.int64(1), 1.0),
        (np.array([0.5, 1.0]), (0.5, 1.0)),
        ([np.float64(0.5), 1], (0.5, 1.0)),
    ):
        config = SamplingConfig(**{name: given})
        assert getattr(config, name) == expected
        json.dumps(config_to_dict(config))


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"guidance has 2 values but .* has 3 scales; give one value"):
        SamplingConfig(guidance=(1.0, 2.0)).per_scale("guidance", SQUARE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 0}, r"top_p must be in \(0, 1\], got 0"),
        ({"top_p": (0.5, 1.1)}, r"top_p must be in \(0, 1\], got \(0.5, 1.1\)"),
        ({"temperature": -1}, r"temperature must be in \[0, 1000000\], got -1"),
        ({"temperature": 1e300}, r"temperature must be in \[0, 1000000\], got 1e\+300"),
        ({"guidance": -1}, r"guidance must be in \[0, 1000000\], got -1"),
        ({"guidance": ()}, r"guidance must be in \[0, 1000000\], got \(\)"),
        ({"guidance": 1e300}, r"guidance must be in \[0, 1000000\], got 1e\+300"),
        ({"guidance": float("nan")}, r"guidance must be in \[0, 1000000\], got nan"),
        ({"guidance": (1, float("inf"))}, r"guidance must be in \[0, 1000000\], got \(1, inf\)"),
        ({"guidance": "much"}, "guidance must be a number, or one per scale, got 'much'"),
        ({"guidance": "12"}, "guidance must be a number, or one per scale, got '12'"),
        ({"top_p": None}, "top_p must be a number, or one per scale, got None"),
    ],
)
def test_impossible_values_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplingConfig(**options)


def test_numbers_are_read_as_one_or_as_one_per_scale() -> None:
    assert parse_per_scale("2") == 2.0
    assert parse_per_scale("1,0.5,0") == (1.0, 0.5, 0.0)
    with pytest.raises(ValueError, match="expected one number, or one per scale as 1,0.5,0, got 'x'"):
        parse_per_scale("x")
