"""What an image depends on, beside the model, its prompt and its seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from infinity.configs import config_to_dict
from infinity.sampling.config import SamplingConfig
from infinity.schedules import Resolution, ScaleSchedule

__all__ = ["Settings", "SettingsArguments", "aspect_ratio_of", "resolve_settings"]

PerScale = float | Sequence[float] | None


class SettingsArguments(TypedDict, total=False):
    """What a call may say; the rest is the model's own."""

    aspect_ratio: float | None  # height / width, one of those the model was trained with; their first one
    height: int | None  # both, instead of the aspect ratio: the size of one of the model's image shapes
    width: int | None
    guidance_scale: PerScale  # classifier-free guidance, one value or one per scale; 1 switches it off
    temperature: PerScale  # one value or one per scale; 0 takes the most likely bits
    top_p: PerScale  # nucleus of the two values of a bit, one value or one per scale
    negative_prompt: str | None  # what guidance leads away from, instead of the learned null condition


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a call, with nothing left to default."""

    aspect_ratio: float
    schedule: ScaleSchedule  # in tokens
    sampling: SamplingConfig
    negative_prompt: str | None

    def record(self) -> dict[str, Any]:
        """JSON values for a manifest."""
        sampling = config_to_dict(self.sampling)
        return {"aspect_ratio": self.aspect_ratio, **sampling, "negative_prompt": self.negative_prompt}


def resolve_settings(
    resolution: Resolution,
    sampling: SamplingConfig,
    *,
    aspect_ratio: float | None = None,
    height: int | None = None,
    width: int | None = None,
    guidance_scale: PerScale = None,
    temperature: PerScale = None,
    top_p: PerScale = None,
    negative_prompt: str | None = None,
) -> Settings:
    """Fill in a model's defaults, and refuse what contradicts itself or has no effect."""
    if (height is None) != (width is None) or (height is not None and aspect_ratio is not None):
        raise ValueError(
            "pass either aspect_ratio, or height and width: "
            f"got aspect_ratio={aspect_ratio}, height={height}, width={width}"
        )
    if height is not None and width is not None:
        aspect_ratio = aspect_ratio_of(resolution, height, width)
    elif aspect_ratio is None:
        aspect_ratio = resolution.aspect_ratios[0]
    schedule = resolution.schedule(aspect_ratio)
    given = {"guidance": guidance_scale, "temperature": temperature, "top_p": top_p}
    config = replace(sampling, **{name: value for name, value in given.items() if value is not None})
    per_scale = {name: config.per_scale(name, schedule) for name in given}
    if negative_prompt is not None and all(value == 1 for value in per_scale["guidance"]):
        raise ValueError(
            "negative_prompt has no effect at guidance 1 (the conditional model alone); raise the guidance"
        )
    return Settings(
        aspect_ratio=aspect_ratio, schedule=schedule, sampling=config, negative_prompt=negative_prompt
    )


def aspect_ratio_of(resolution: Resolution, height: int, width: int) -> float:
    """The aspect ratio whose images have exactly this size in pixels."""
    sizes = {resolution.image_size(ratio): ratio for ratio in resolution.aspect_ratios}
    if (height, width) not in sizes:
        possible = ", ".join("{}x{}".format(*size) for size in sorted(sizes))
        raise ValueError(f"the model has no images of {height}x{width} (height x width), but of {possible}")
    return sizes[height, width]
