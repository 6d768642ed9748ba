"""How to draw: guidance, temperature and nucleus, each one value or one per scale."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from infinity.schedules import ScaleSchedule

__all__ = ["SamplingConfig", "parse_per_scale"]

_LARGEST = 1_000_000  # a float32 that multiplies logits needs room above


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """Settings of one generation; every value may be a tuple with one entry per scale.

    Args:
        guidance: classifier-free guidance; 1 is the conditional model alone (and costs half).
        temperature: divides the logits; 0 takes the most likely bits.
        top_p: nucleus, in (0, 1]; of two classes, one with probability <= 1 - top_p is never drawn.
    """

    guidance: float | tuple[float, ...] = 3.0
    temperature: float | tuple[float, ...] = 1.0
    top_p: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        for name, valid, expected in (
            ("guidance", lambda value: 0 <= value <= _LARGEST, f"in [0, {_LARGEST}]"),
            ("temperature", lambda value: 0 <= value <= _LARGEST, f"in [0, {_LARGEST}]"),
            ("top_p", lambda value: 0 < value <= 1, "in (0, 1]"),
        ):
            given: Any = getattr(self, name)
            several = isinstance(given, Iterable)
            values: tuple[Any, ...] = tuple(given) if several else (given,)
            if not all(isinstance(value, Real) for value in values):
                raise ValueError(f"{name} must be a number, or one per scale, got {given!r}")
            if not values or not all(map(valid, values)):
                raise ValueError(f"{name} must be {expected}, got {given}")
            values = tuple(map(float, values))  # NumPy's become Python's
            object.__setattr__(self, name, values if several else values[0])

    def per_scale(self, name: str, schedule: ScaleSchedule) -> tuple[float, ...]:
        """One value of a setting for every scale."""
        value = getattr(self, name)
        if not isinstance(value, tuple):
            return (value,) * len(schedule)
        if len(value) != len(schedule):
            raise ValueError(
                f"{name} has {len(value)} values but the schedule {schedule} has {len(schedule)} scales; "
                "give one value or one per scale"
            )
        return value


def parse_per_scale(text: str) -> float | tuple[float, ...]:
    """Read "2" as one value, "1,0.5,0" as one per scale."""
    try:
        first, *others = (float(value) for value in text.split(","))
    except ValueError:
        raise ValueError(f"expected one number, or one per scale as 1,0.5,0, got {text!r}") from None
    return (first, *others) if others else first
