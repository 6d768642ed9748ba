"""Scale schedules: the (height, width) of every scale of the code pyramid, per aspect ratio.

An image of aspect ratio ``r = height / width`` is coded as K maps of growing size (paper section 3.5 and
supplement). Every entry keeps roughly the ratio, and scale k has roughly the same area for every ratio, so
that sequence lengths match. Nothing here needs torch: schedules are facts about a model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple

from infinity.configs import check_literals

__all__ = [
    "ASPECT_RATIOS",
    "PixelBudget",
    "Resolution",
    "Scale",
    "ScaleSchedule",
    "build_schedule",
    "nearest_aspect_ratio",
    "paper_schedule",
]

PixelBudget = Literal["0.06M", "0.25M", "0.60M", "1M"]


class Scale(NamedTuple):
    """Height and width of one scale, in latent cells (or in tokens, for the transformer's schedule)."""

    h: int
    w: int

    @property
    def area(self) -> int:
        return self.h * self.w


@dataclass(frozen=True)
class ScaleSchedule:
    """The scales of one image shape, coarse to fine; hashable, so caches can be keyed by it.

    Args:
        scales: sizes in growing order.
        reference: grid whose coordinates RoPE uses (the official code always uses the last scale of the "1M"
            schedule, also for smaller images); the last scale if not given.
    """

    scales: tuple[Scale, ...]
    reference: Scale = Scale(0, 0)

    def __post_init__(self) -> None:
        if not self.scales:
            raise ValueError("a scale schedule needs at least one scale, got none")
        object.__setattr__(self, "scales", tuple(Scale(*scale) for scale in self.scales))
        if any(min(scale) < 1 for scale in self.scales):
            raise ValueError(f"every scale must be at least 1x1, got {self}")
        for small, large in zip(self.scales, self.scales[1:], strict=False):
            if large.h < small.h or large.w < small.w or large == small:
                raise ValueError(f"scales must grow, got {small.h}x{small.w} before {large.h}x{large.w}")
        reference = Scale(*self.reference) if any(self.reference) else self.scales[-1]
        object.__setattr__(self, "reference", reference)

    def __len__(self) -> int:
        return len(self.scales)

    def __iter__(self) -> Iterator[Scale]:
        return iter(self.scales)

    def __getitem__(self, index: int) -> Scale:
        return self.scales[index]

    def __str__(self) -> str:
        return " ".join(f"{h}x{w}" for h, w in self.scales)

    @property
    def final(self) -> Scale:
        """Size of the finest scale, which is the latent grid itself."""
        return self.scales[-1]

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Start of every scale in the token sequence, then the total length (K + 1 numbers)."""
        offsets = [0]
        for scale in self.scales:
            offsets.append(offsets[-1] + scale.area)
        return tuple(offsets)

    @property
    def seq_len(self) -> int:
        """Number of tokens over all scales (L)."""
        return self.offsets[-1]

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Where every scale lies in the token sequence."""
        return tuple(slice(start, end) for start, end in zip(self.offsets, self.offsets[1:], strict=False))

    def prefix(self, num_scales: int) -> ScaleSchedule:
        """The first `num_scales` scales, with the same RoPE reference grid."""
        if not 1 <= num_scales <= len(self):
            raise ValueError(f"num_scales must be in [1, {len(self)}], got {num_scales}")
        return ScaleSchedule(self.scales[:num_scales], self.reference)

    def latent(self, patch: int) -> ScaleSchedule:
        """The tokenizer's schedule when `patch` x `patch` latent cells make one token (spatial patchify)."""
        enlarged = tuple(Scale(h * patch, w * patch) for h, w in self.scales)
        return ScaleSchedule(enlarged, Scale(self.reference.h * patch, self.reference.w * patch))


# Published schedules (paper supplement; official `dynamic_resolution.py`) for height / width >= 1, in units
# of 16 pixels. A pixel budget uses a prefix. Ratios below 1 are the same lists transposed.
_PAPER_SCALES: dict[float, str] = {
    1.0: "1x1 2x2 4x4 6x6 8x8 12x12 16x16 20x20 24x24 32x32 40x40 48x48 64x64",
    1.25: "1x1 2x2 3x3 5x4 10x8 15x12 20x16 25x20 30x24 35x28 45x36 55x44 70x56",
    1.333: "1x1 2x2 4x3 8x6 12x9 16x12 20x15 24x18 28x21 36x27 48x36 60x45 72x54",
    1.5: "1x1 2x2 3x2 6x4 9x6 15x10 21x14 27x18 33x22 39x26 48x32 63x42 78x52",
    1.75: "1x1 2x2 3x3 7x4 11x6 14x8 21x12 28x16 35x20 42x24 56x32 70x40 84x48",
    2.0: "1x1 2x2 4x2 6x3 10x5 16x8 22x11 30x15 38x19 46x23 60x30 74x37 90x45",
    2.5: "1x1 2x2 5x2 10x4 15x6 20x8 25x10 30x12 40x16 50x20 65x26 80x32 100x40",
    3.0: "1x1 2x2 6x2 9x3 15x5 21x7 27x9 36x12 45x15 54x18 72x24 90x30 111x37",
}
_NUM_SCALES: dict[PixelBudget, int] = {"0.06M": 7, "0.25M": 10, "0.60M": 12, "1M": 13}
_INVERSE_RATIOS = {0.8: 1.25, 0.75: 1.333, 0.666: 1.5, 0.571: 1.75, 0.5: 2.0, 0.4: 2.5, 0.333: 3.0}

ASPECT_RATIOS: tuple[float, ...] = tuple(sorted([*_PAPER_SCALES, *_INVERSE_RATIOS]))
"""The paper's 15 ratios (height / width), under the names that the official code gives them."""


def nearest_aspect_ratio(height: int, width: int, ratios: tuple[float, ...] = ASPECT_RATIOS) -> float:
    """The template ratio that is nearest to ``height / width`` in absolute difference (the official rule)."""
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be positive, got {height}x{width}")
    return min(ratios, key=lambda ratio: abs(height / width - ratio))


@cache
def paper_schedule(aspect_ratio: float, pixels: PixelBudget = "1M") -> ScaleSchedule:
    """The paper's schedule for one of its 15 aspect ratios and 4 pixel budgets."""
    if aspect_ratio not in ASPECT_RATIOS:
        near = min(ASPECT_RATIOS, key=lambda ratio: abs(aspect_ratio - ratio))
        raise ValueError(
            f"aspect_ratio (height / width) must be one of {', '.join(map(str, ASPECT_RATIOS))}, "
            f"got {aspect_ratio}; the nearest is {near}"
        )
    if pixels not in _NUM_SCALES:
        raise ValueError(f"pixels must be one of {', '.join(_NUM_SCALES)}, got {pixels!r}")
    listed = _PAPER_SCALES[_INVERSE_RATIOS.get(aspect_ratio, aspect_ratio)]
    sizes = [tuple(map(int, size.split("x"))) for size in listed.split()]
    scales = tuple(Scale(h, w) if aspect_ratio >= 1 else Scale(w, h) for h, w in sizes)
    return ScaleSchedule(scales[: _NUM_SCALES[pixels]], reference=scales[-1])


@cache
def build_schedule(aspect_ratio: float, sides: tuple[int, ...]) -> ScaleSchedule:
    """Build a schedule for small images under the paper's principle: ratio kept, equal area per scale.

    For every square side s, the entry is the integer pair (h, w) whose ratio is nearest in logarithm, where
    areas farther than a factor exp(0.25) from s * s are penalised. Every ratio has as many scales as sides;
    from side 4 on, areas are within a factor 4/3 of s * s and ratios within 6/5. The ratio 1 gives the
    squares, and the schedule of 1 / r is the transposed one of r.
    """
    if not 1 / 4 <= aspect_ratio <= 4:
        raise ValueError(f"aspect_ratio (height / width) must be in [0.25, 4], got {aspect_ratio}")
    if list(sides) != sorted(set(sides)) or not sides or sides[0] < 1:
        raise ValueError(f"sides must be growing positive integers, got {sides}")
    if aspect_ratio < 1:
        return ScaleSchedule(tuple(Scale(w, h) for h, w in build_schedule(1 / aspect_ratio, sides)))
    scales: list[Scale] = []
    for side in sides:
        scales.append(_shape_of_area(aspect_ratio, side * side, scales[-1] if scales else Scale(0, 0)))
    return ScaleSchedule(tuple(scales))


def _shape_of_area(aspect_ratio: float, area: int, previous: Scale) -> Scale:
    """The best size that is larger than the `previous` one, of which no side may shrink."""
    candidates = [
        Scale(h, max(1, round(h / aspect_ratio) + delta))
        for h in range(1, math.ceil(2 * math.sqrt(area * aspect_ratio)) + 2)
        for delta in (-1, 0, 1)
    ]
    growing = [
        scale for scale in candidates if scale.h >= previous.h and scale.w >= previous.w and scale != previous
    ]

    def badness(scale: Scale) -> tuple[float, float]:
        area_error = abs(math.log(scale.area / area))
        ratio_error = abs(math.log(scale.h / scale.w / aspect_ratio))
        return (max(0.0, area_error - 0.25) * 4 + ratio_error, area_error)

    return min(growing, key=badness)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Which image shapes a model is trained on, and their schedules.

    Args:
        stride: pixels per *token* side (tokenizer stride times its spatial patchify).
        pixels: the paper's pixel budget; used when `sides` is empty.
        sides: square sides of every scale of a small model, in tokens; ratios then follow
            :func:`build_schedule`.
        aspect_ratios: allowed height / width ratios.
    """

    stride: int = 16
    pixels: PixelBudget = "0.06M"
    sides: tuple[int, ...] = ()
    aspect_ratios: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        check_literals(self)
        object.__setattr__(self, "sides", tuple(self.sides))
        object.__setattr__(self, "aspect_ratios", tuple(self.aspect_ratios))
        if self.stride < 1:
            raise ValueError(f"stride must be positive, got {self.stride}")
        if not self.aspect_ratios:
            raise ValueError("aspect_ratios must name at least one height / width ratio, got none")
        for ratio in self.aspect_ratios:
            self.schedule(ratio)

    def schedule(self, aspect_ratio: float) -> ScaleSchedule:
        """Schedule (in tokens) of one of `aspect_ratios`."""
        if aspect_ratio not in self.aspect_ratios:
            listed = ", ".join(map(str, self.aspect_ratios))
            raise ValueError(f"aspect_ratio (height / width) must be one of {listed}, got {aspect_ratio}")
        if self.sides:
            return build_schedule(aspect_ratio, self.sides)
        return paper_schedule(aspect_ratio, self.pixels)

    def image_size(self, aspect_ratio: float) -> tuple[int, int]:
        """Height and width in pixels of images of one ratio."""
        final = self.schedule(aspect_ratio).final
        return final.h * self.stride, final.w * self.stride
