"""Settings of a call, complete and checked."""

from __future__ import annotations

from typing import Any

import pytest

from infinity.sampling.config import SamplingConfig
from infinity.sampling.settings import resolve_settings
from infinity.schedules import Resolution

RESOLUTION = Resolution(stride=16, sides=(1, 2, 4), aspect_ratios=(1.0, 0.6))
DEFAULT = SamplingConfig(guidance=2.0, temperature=(1.0, 0.5, 0.0))


def test_what_is_not_said_is_the_models_own() -> None:
    settings = resolve_settings(RESOLUTION, DEFAULT, top_p=0.9)
    assert settings.sampling == SamplingConfig(guidance=2.0, temperature=(1.0, 0.5, 0.0), top_p=0.9)
    assert settings.record() == {
        "aspect_ratio": 1.0,
        "guidance": 2.0,
        "temperature": [1.0, 0.5, 0.0],
        "top_p": 0.9,
        "negative_prompt": None,
    }


def test_a_size_names_its_aspect_ratio() -> None:
    assert resolve_settings(RESOLUTION, DEFAULT, height=48, width=80).aspect_ratio == 0.6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"height": 60, "width": 64}, r"no images of 60x64 \(height x width\), but of 48x80, 64x64"),
        ({"height": 64}, "either aspect_ratio, or height and width"),
        ({"height": 64, "width": 64, "aspect_ratio": 1.0}, "either aspect_ratio, or height and width"),
        ({"aspect_ratio": 2.0}, "must be one of 1.0, 0.6, got 2.0"),
        ({"negative_prompt": "blue", "guidance_scale": 1}, "negative_prompt has no effect at guidance 1"),
        ({"guidance_scale": float("inf")}, r"guidance must be in \[0, 1000000\]"),
        ({"guidance_scale": float("nan")}, r"guidance must be in \[0, 1000000\]"),
        ({"temperature": (1.0, 0.5)}, "has 2 values but the schedule .* has 3 scales"),
    ],
)
def test_what_contradicts_itself_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_settings(RESOLUTION, DEFAULT, **arguments)
