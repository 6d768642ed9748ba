"""Sampling settings."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(ValueError, match=r"guidance has 2 values but .* has 3 scales; give one value"):
        SamplingConfig(guidance=(1.0, 2.0)).per_scale("guidance", SQUARE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_p": 0}, r"top_p must be in \(0, 1\], got 0"),
        ({"top_p": (0.5, 1.1)}, r"top_p must be in \(0, 1\], got \(0.5, 1.1\)"),
        ({"temperature": -1}, "temperature must be a finite number, at least 0, got -1"),
        ({"guidance": -1}, "guidance must be a finite number, at least 0"),
        ({"guidance": ()}, r"guidance must be a finite number, at least 0, got \(\)"),
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
