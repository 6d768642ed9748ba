"""The words of ShapesWorld and what they look like: outlines, colours, backgrounds, and the two tiers.

Outlines are polygons in units of an object's radius, y pointing down, their bounding box centred on (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["COLORS", "OUTLINES", "RELATIONS", "WORLDS", "Outline", "Tier", "World", "canvas"]

Tier = Literal["basic", "full"]
RGB = tuple[int, int, int]
Outline = tuple[tuple[float, float], ...]

RELATIONS = ("left of", "right of", "above", "below")

COLORS: dict[str, RGB] = {  # the ten GenEval names; closest two in CIE Lab: blue and purple, 42 apart
    "red": (220, 30, 30),
    "orange": (245, 140, 20),
    "yellow": (250, 225, 40),
    "green": (30, 150, 50),
    "blue": (20, 80, 225),
    "purple": (140, 30, 150),
    "pink": (250, 150, 195),
    "brown": (120, 70, 30),
    "black": (20, 20, 20),
    "white": (248, 248, 248),
}


def _centred(points: Iterable[tuple[float, float]]) -> Outline:
    points = list(points)
    xs, ys = zip(*points, strict=True)
    middle_x, middle_y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    return tuple((x - middle_x, y - middle_y) for x, y in points)


def _polar(radii: Iterable[float], start: float = -math.pi / 2) -> Outline:
    radii = list(radii)
    angles = [start + 2 * math.pi * k / len(radii) for k in range(len(radii))]
    return _centred((r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def _square(half: float) -> Outline:
    return ((-half, -half), (half, -half), (half, half), (-half, half))


def _cross(arm: float, half: float) -> Outline:
    quarters: list[Outline] = [((-half, -arm), (half, -arm), (half, -half))]
    for _ in range(3):
        quarters.append(tuple((-y, x) for x, y in quarters[-1]))
    return tuple(point for quarter in quarters for point in quarter)


def _heart(scale: float, num_points: int = 96) -> Outline:
    angles = [2 * math.pi * k / num_points for k in range(num_points)]
    return _centred(
        (
            scale * 16 * math.sin(t) ** 3,
            -scale * (13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)),
        )
        for t in angles
    )


# Several polygons are filled by the even-odd rule: the ring is an outer and an inner circle.
OUTLINES: dict[str, tuple[Outline, ...]] = {
    "circle": (_polar([1.0] * 96),),
    "square": (_square(0.93),),
    "triangle": (_polar([1.28] * 3),),
    "star": (_polar([1.35, 0.54] * 5),),
    "heart": (_heart(1 / 14),),
    "cross": (_cross(1.12, 0.44),),
    "ring": (_polar([1.0] * 96), _polar([0.55] * 96)),
    "hexagon": (_polar([1.08] * 6, start=0.0),),
}


def canvas(aspect_ratio: float) -> tuple[float, float]:
    """Height and width, in units of the nominal size, of an image of one ratio (height / width).

    Areas are those of the square to within a sixteenth; all sides are multiples of an eighth, so any size
    that 16 divides gives whole, even pixels (256: 256x256, 192x320, 320x192, 160x384, 384x160).
    """
    if aspect_ratio not in _CANVASES:
        listed = ", ".join(f"{ratio:.4g}" for ratio in _CANVASES)
        raise ValueError(f"ShapesWorld has images of height / width {listed}, got {aspect_ratio}")
    return _CANVASES[aspect_ratio]


_CANVASES = {
    1.0: (1.0, 1.0),
    3 / 5: (0.75, 1.25),
    5 / 3: (1.25, 0.75),
    5 / 12: (0.625, 1.5),
    12 / 5: (1.5, 0.625),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """What a tier draws from. Lengths are fractions of the picture's shorter side.

    Args:
        layout: `grid`: a lone object near the centre, several in distinct cells of a 2x2 grid (centres at 1/4
            and 3/4 of the side), a relation within one row or column; `free`: anywhere.
        radius: range of radii of scenes with up to two objects.
        radius_many: range of radii of scenes with more.
        position_jitter: largest offset from the grid point (`grid` only).
        color_jitter: largest offset of each RGB channel from the colour's anchor.
        aspect_ratios: height / width of training images; `held_out_aspect_ratios` occur in evaluation only.
        max_count: largest number in the counting task; `held_out_counts` occur in evaluation only.
    """

    tier: Tier
    shapes: tuple[str, ...]
    colors: tuple[str, ...]
    backgrounds: tuple[RGB, ...]
    layout: Literal["grid", "free"]
    radius: tuple[float, float]
    radius_many: tuple[float, float]
    position_jitter: float = 0.0
    max_rotation: float = 0.0
    color_jitter: int = 0
    aspect_ratios: tuple[float, ...] = (1.0,)
    held_out_aspect_ratios: tuple[float, ...] = ()
    max_count: int = 4
    held_out_counts: tuple[int, ...] = ()


WORLDS: dict[Tier, World] = {
    # Shapes: four that stay apart when a tokenizer blurs and smears them at 64 px (mask overlap was measured
    # after blur and low-frequency noise; star and ring lose their points and hole first). Colours: the six of
    # the ten that are farthest apart in Lab, background included (47).
    "basic": World(
        tier="basic",
        shapes=("circle", "square", "triangle", "cross"),
        colors=("red", "yellow", "green", "blue", "pink", "black"),
        backgrounds=((235, 235, 235),),
        layout="grid",
        radius=(10.75 / 64, 11.5 / 64),
        radius_many=(10.75 / 64, 11.5 / 64),
        position_jitter=1.5 / 64,
    ),
    "full": World(
        tier="full",
        shapes=tuple(OUTLINES),
        colors=tuple(COLORS),
        backgrounds=((235, 235, 235), (205, 215, 225), (60, 60, 70), (225, 215, 195), (150, 160, 150)),
        layout="free",
        radius=(0.10, 0.20),
        radius_many=(0.10, 0.16),
        max_rotation=0.3,
        color_jitter=8,
        aspect_ratios=(1.0, 3 / 5, 5 / 3),
        held_out_aspect_ratios=(5 / 12, 12 / 5),
        held_out_counts=(5, 6),
    ),
}
