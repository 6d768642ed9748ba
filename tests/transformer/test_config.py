"""Transformer configurations and presets."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from infinity.transformer import PRESETS, Infinity, InfinityConfig

PAPER_SIZES = {  # millions of parameters, of the official implementation
    "125M": 125.2,
    "361M": 361.6,
    "940M": 940.9,
    "2.2B": 2256.7,
    "4.7B": 4716.4,
    "8.8B": 8767,
    "2b": 2204.6,
    "8b": 8376,
    "20b": 19953,
}
CPU_SIZES = {"cpu-0.3M": 0.3, "cpu-1M": 1, "cpu-3M": 3, "cpu-10M": 10, "cpu-30M": 30}


def millions(name: str) -> float:
    with torch.device("meta"):
        model = Infinity(InfinityConfig(**PRESETS[name]))
    return sum(parameter.numel() for parameter in model.parameters()) / 1e6


@pytest.mark.parametrize(("name", "size"), PAPER_SIZES.items())
def test_presets_have_the_official_number_of_parameters(name: str, size: float) -> None:
    digits = 1 if size % 1 else 0
    assert round(millions(name), digits) == size


@pytest.mark.parametrize(("name", "size"), CPU_SIZES.items())
def test_cpu_presets_have_about_the_size_in_their_name(name: str, size: float) -> None:
    assert millions(name) == pytest.approx(size, rel=0.2)


def test_every_preset_is_tested() -> None:
    assert PRESETS.keys() == PAPER_SIZES.keys() | CPU_SIZES.keys()


@pytest.mark.parametrize(
    ("width", "hidden"), [(64, 256), (96, 512), (160, 512), (768, 3072), (2080, 8192), (3360, 13312)]
)
def test_feed_forward_width_is_rounded_as_officially(width: int, hidden: int) -> None:
    assert InfinityConfig(width=width, num_heads=2, text_width=64).ffn_width == hidden


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be at least 1, got 0"),
        ({"width": 190}, "multiple of 4 [*] num_heads"),
        ({"num_heads": 5}, "got width 192 and num_heads 5"),
        ({"text_width": 640}, "multiple of the 5 heads"),
        ({"head": "indexwise", "token_bits": 17}, "at most 16 bits, got 17; use head: bitwise"),
        ({"num_chunks": 4}, "depth must be a multiple of num_chunks, got 6 and 4"),
        ({"drop_path": 1.0}, r"drop_path must be in \[0, 1\), got 1.0"),
        ({"condition_dropout": -0.1}, "condition_dropout must be in"),
    ],
)
def test_impossible_configurations_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InfinityConfig(**options)


def test_stochastic_depth_grows_linearly() -> None:
    config = InfinityConfig(depth=5, drop_path=0.2)
    assert [config.drop_path_rate(i) for i in range(5)] == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
