"""What training never shows, in words or in pixels (the leak guard), and how far a prompt is from training.

Rules (i, j = positions of shape and colour in the tier's vocabulary; every word is seen in training):

- colour: `full` holds out a pair if ``(3 i + j) mod 10 in {0, 1}`` (16 of 80), `basic` if
  ``(i + j) mod 6 == 0`` (4 of 24).
- count: n objects of shape i are held out if ``(i + n) mod 3 == 0``, and so is every n above 4.
- relation: for two shapes and one axis, a hash holds out one of the two orders (or none: three times in 5);
  the swapped order is always trained on. "a left of b" and "b right of a" are one picture, so go together.
- pairs: two trained colour-shape pairs that never meet in one picture (one in eight, by hash).
- aspect ratios: the tier's `held_out_aspect_ratios`.
"""

from __future__ import annotations

import hashlib
from functools import cache

from datamodules.shapesworld.grammar import Prompt
from datamodules.shapesworld.vocabulary import World

__all__ = [
    "allowed_colors",
    "color_held_out",
    "count_held_out",
    "ood_level",
    "pairs_held_out",
    "relation_held_out",
]

_MAX_TRAINED_COUNT = 4


def color_held_out(world: World, shape: str, color: str) -> bool:
    i, j = world.shapes.index(shape), world.colors.index(color)
    return (3 * i + j) % 10 in (0, 1) if world.tier == "full" else (i + j) % 6 == 0


@cache
def allowed_colors(world: World, shape: str) -> tuple[str, ...]:
    """Colours that the shape has in training."""
    return tuple(color for color in world.colors if not color_held_out(world, shape, color))


def count_held_out(world: World, shape: str, count: int) -> bool:
    """One object of any shape is always allowed."""
    return count > 1 and (count > _MAX_TRAINED_COUNT or (world.shapes.index(shape) + count) % 3 == 0)


@cache
def relation_held_out(world: World, subject: str, relation: str, target: str) -> bool:
    """Whether training shows no `subject` standing in `relation` to `target`."""
    if relation in ("right of", "below"):
        subject, relation, target = target, {"right of": "left of", "below": "above"}[relation], subject
    first, second = sorted((subject, target))
    draw = _hash(world.tier, first, relation, second) % 5
    return draw < 2 and (subject, target) == ((first, second) if draw == 0 else (second, first))


@cache
def pairs_held_out(world: World, pair: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether two (shape, colour) pairs never meet in training although each is trained on."""
    if pair[0] == other[0] or pair[1] == other[1]:  # nothing to bind: not a colour-attribution scene
        return False
    first, second = sorted((pair, other))
    return _hash(world.tier, *first, *second) % 8 == 0


def ood_level(world: World, prompt: Prompt) -> str:
    """`id` for prompts of the training distribution, else the name of what is new about the prompt."""
    nouns = prompt.nouns
    match prompt.tag:
        case "counting" if nouns[0].number > _MAX_TRAINED_COUNT:
            return "productivity"
        case "counting" if count_held_out(world, nouns[0].shape, nouns[0].number):
            return "count"
        case "colors" if color_held_out(world, nouns[0].shape, nouns[0].color or ""):
            return "color"
        case "position" if relation_held_out(world, nouns[0].shape, prompt.relation or "", nouns[1].shape):
            return "relation"
        case "color_attr":
            pair, other = ((noun.shape, noun.color or "") for noun in nouns)
            num_unseen = color_held_out(world, *pair) + color_held_out(world, *other)
            if num_unseen == 0:
                return "pairs_L1" if pairs_held_out(world, pair, other) else "id"
            return ("pairs_L2", "pairs_L3")[num_unseen - 1]
    return "id"


def _hash(*words: str) -> int:
    return int.from_bytes(hashlib.sha256("|".join(words).encode()).digest()[:8])
