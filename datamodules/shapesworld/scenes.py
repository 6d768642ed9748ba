"""From a prompt to a scene: which objects stand where, of which colour, on which background.

A scene is a pure function of its arguments and of a seeded `random.Random`; nothing in it depends on pixels,
so one scene can be rendered at any size. Lengths are in units of the nominal size (side of a square image).
"""

from __future__ import annotations

import math
import random
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np

from datamodules.shapesworld.grammar import Prompt
from datamodules.shapesworld.holdouts import allowed_colors, pairs_held_out, relation_held_out
from datamodules.shapesworld.vocabulary import COLORS, OUTLINES, RELATIONS, RGB, World, canvas

__all__ = ["Box", "Scene", "SceneObject", "leaks", "relations", "sample_scene"]

Box = tuple[float, float, float, float]

_VERIFIER_SLACK = 0.1  # GenEval's
_SAFE_SLACK = 0.2
_MIN_CONTRAST = 25.0  # Lab distance of every object to the background


class SceneObject(NamedTuple):
    shape: str
    color: str
    rgb: RGB
    x: float
    y: float
    radius: float
    rotation: float

    def polygons(self) -> list[np.ndarray]:
        """Outlines (N, 2) in the scene's units."""
        cos, sin = math.cos(self.rotation) * self.radius, math.sin(self.rotation) * self.radius
        turn = np.array([[cos, sin], [-sin, cos]])
        return [np.array(outline) @ turn + (self.x, self.y) for outline in OUTLINES[self.shape]]

    def box(self) -> Box:
        """Left, top, right, bottom."""
        if not self.rotation:
            half_x, half_y = _half_extents(self.shape)
            half_x, half_y = half_x * self.radius, half_y * self.radius
            return (self.x - half_x, self.y - half_y, self.x + half_x, self.y + half_y)
        outer = self.polygons()[0]
        (left, top), (right, bottom) = outer.min(0), outer.max(0)
        return (float(left), float(top), float(right), float(bottom))


class Scene(NamedTuple):
    prompt: Prompt
    aspect_ratio: float
    background: RGB
    objects: tuple[SceneObject, ...]  # in the order of the prompt's nouns

    def metadata(self, size: int) -> dict[str, Any]:
        """The prompt in GenEval's schema beside what is really in the picture (boxes in pixels at `size`)."""
        objects = [
            {
                "class": o.shape,
                "color": o.color,
                "rgb": list(o.rgb),
                "box": [round(v * size, 2) for v in o.box()],
            }
            for o in self.objects
        ]
        return {"metadata": self.prompt.metadata(), "objects": objects, "background": list(self.background)}


@cache
def _half_extents(shape: str) -> tuple[float, float]:
    half_x, half_y = np.abs(np.array(OUTLINES[shape][0])).max(0)
    return float(half_x), float(half_y)


def relations(box: Box, other: Box, slack: float) -> set[str]:
    """Relations of a box to another under GenEval's rule (offset of centres less `slack` times the sides)."""
    dx, dy = ((box[k] + box[k + 2] - other[k] - other[k + 2]) / 2 for k in (0, 1))
    slack_x, slack_y = (slack * (box[k + 2] - box[k] + other[k + 2] - other[k]) for k in (0, 1))
    distance = math.hypot(dx, dy)
    if distance == 0:
        return set()
    x = math.copysign(max(abs(dx) - slack_x, 0.0), dx) / distance
    y = math.copysign(max(abs(dy) - slack_y, 0.0), dy) / distance
    holds = {"left of": x < -0.5, "right of": x > 0.5, "above": y < -0.5, "below": y > 0.5}
    return {relation for relation in RELATIONS if holds[relation]}


def leaks(world: World, objects: tuple[SceneObject, ...]) -> bool:
    """Whether two objects show a held-out meeting of pairs, or a held-out relation."""
    for k, a in enumerate(objects):
        for b in objects[:k]:
            if a.shape == b.shape:
                continue
            if pairs_held_out(world, (a.shape, a.color), (b.shape, b.color)):
                return True
            if any(
                relation_held_out(world, a.shape, r, b.shape)
                for r in relations(a.box(), b.box(), _VERIFIER_SLACK)
            ):
                return True
    return False


def sample_scene(
    world: World, prompt: Prompt, rng: random.Random, *, aspect_ratio: float = 1.0, guarded: bool = True
) -> Scene:
    """Draw a scene that shows `prompt`.

    Colours that the prompt doesn't name are always trained ones. With `guarded`, neither the layout nor the
    company of colours shows anything held out; scenes of held-out prompts can't be guarded.
    """
    nouns = [noun for noun in prompt.nouns for _ in range(noun.number)]
    for _ in range(1000):
        colors = [noun.color or rng.choice(allowed_colors(world, noun.shape)) for noun in nouns]
        backgrounds = [b for b in world.backgrounds if all(_contrast(c, b) >= _MIN_CONTRAST for c in colors)]
        if not backgrounds:
            continue
        background = rng.choice(backgrounds)
        if world.layout == "grid":
            placed = _grid_positions(world, prompt, len(nouns), rng)
        else:
            placed = _free_positions(world, len(nouns), aspect_ratio, rng)
        if placed is None:
            continue
        objects = tuple(
            SceneObject(
                noun.shape,
                color,
                _jittered(COLORS[color], world.color_jitter, rng),
                *xyr,
                rng.uniform(-world.max_rotation, world.max_rotation) if world.max_rotation else 0.0,
            )
            for noun, color, xyr in zip(nouns, colors, placed, strict=True)
        )
        if prompt.relation and not _only_relation(objects[0].box(), objects[1].box(), prompt.relation):
            continue
        if guarded and leaks(world, objects):
            continue
        return Scene(prompt, aspect_ratio, background, objects)
    raise RuntimeError(f"no scene found in 1000 draws for {prompt.text!r} in the world {world.tier}")


def _only_relation(box: Box, other: Box, relation: str) -> bool:
    """Whether the relation holds and no other one does, for a verifier and with room to spare."""
    return all(relations(box, other, slack) == {relation} for slack in (_VERIFIER_SLACK, _SAFE_SLACK))


def _grid_positions(
    world: World, prompt: Prompt, count: int, rng: random.Random
) -> list[tuple[float, float, float]]:
    if count == 1:
        points = [(0.5, 0.5)]
    elif prompt.relation:  # same row or same column, so that exactly one relation holds
        low, high = (0.25, 0.75) if prompt.relation in ("left of", "above") else (0.75, 0.25)
        across = rng.choice((0.25, 0.75))
        points = [(low, across), (high, across)]
        if prompt.relation in ("above", "below"):
            points = [(y, x) for x, y in points]
    else:
        points = rng.sample([(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)], count)
    jitter = world.position_jitter
    return [
        (x + rng.uniform(-jitter, jitter), y + rng.uniform(-jitter, jitter), rng.uniform(*world.radius))
        for x, y in points
    ]


def _free_positions(
    world: World, count: int, aspect_ratio: float, rng: random.Random
) -> list[tuple[float, float, float]] | None:
    height, width = canvas(aspect_ratio)
    placed: list[tuple[float, float, float]] = []
    for _ in range(count):
        for _ in range(60):
            radius = min(height, width) * rng.uniform(*(world.radius_many if count > 2 else world.radius))
            margin = 1.45 * radius
            x, y = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
            if all(math.hypot(x - a, y - b) > 1.42 * (radius + r) for a, b, r in placed):
                placed.append((x, y, radius))
                break
        else:
            return None
    return placed


def _jittered(rgb: RGB, jitter: int, rng: random.Random) -> RGB:
    if not jitter:
        return rgb
    red, green, blue = (min(max(value + rng.randint(-jitter, jitter), 0), 255) for value in rgb)
    return red, green, blue


@cache
def _contrast(color: str, background: RGB) -> float:
    pixels = np.array([[COLORS[color], background]], np.float32) / 255
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)[0]
    return float(np.linalg.norm(lab[0] - lab[1]))
