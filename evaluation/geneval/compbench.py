"""T2I-CompBench's scores of spatial relations and of numbers, from detections (arXiv 2307.06350).

The benchmark detects with UniDet; with another detector these are scores of another kind. What a prompt asks
for is given, not parsed: the scripts leave that to spaCy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from evaluation.geneval.scoring import Box, box_overlap

__all__ = ["Mode", "Named", "numeracy_score", "relation_in", "spatial_score"]

Mode = Literal["official", "fixed"]

_NEAR = ("on side of", "next to", "near")
_DIRECTIONS = {  # of the second object, seen from the first: axis and sign
    "on the left of": (0, 1),
    "on the right of": (0, -1),
    "on the bottom of": (1, -1),
    "on the top of": (1, 1),
}
_RELATIONS = (*_NEAR, *_DIRECTIONS, "on top of")
_NEAR_PIXELS = 150
_MAX_OVERLAP = 0.1
_SAME = 0.9
_PEOPLE = dict.fromkeys(("girl", "boy", "man", "woman"), "person")
_SYNONYMS = {
    **_PEOPLE,
    "ship": "boat",
    "telivision": "tv",  # codespell:ignore
    "goldfish": "fish",
    "painting": "picture",
}


class Named(NamedTuple):
    """A detection; x1, y1, x2, y2 in pixels."""

    name: str
    box: Box
    score: float


def relation_in(prompt: str) -> str | None:
    """The words of a prompt that relate its objects, the first that the script would find."""
    return next((words for words in _RELATIONS if words in prompt), None)


def spatial_score(
    first: str, relation: str | None, second: str, found: Sequence[Named], mode: Mode = "official"
) -> float:
    """A quarter of either object's score, and half for the relation; below one half it is 0.

    Args:
        found: in the detector's order; the first of a name counts.
        mode: the script knows "on top of" but never grants it; "fixed" takes it for "on the top of".
    """
    if mode == "fixed" and relation == "on top of":
        relation = "on the top of"
    seen: dict[str, Named] = {}
    for one in found:
        seen.setdefault(one.name, one)
    pair = [seen.get(_PEOPLE.get(name, name)) for name in (first, second)]
    score = sum(0.25 * one.score for one in pair if one)
    if pair[0] and pair[1]:
        score += _relation(relation, pair[0].box, pair[1].box) / 2
    return score if score >= 0.5 else 0.0


def numeracy_score(wanted: Mapping[str, int], found: Sequence[Named]) -> float:
    """Mean over the objects: half for being there at all, half for the right number.

    Args:
        wanted: numbers by name in the singular.
        found: in the detector's order; the later of two of one name that nearly coincide does not count.
    """
    if not wanted:
        raise ValueError("expected at least one object with its number, got none; see the prompt's words")
    distinct: list[Named] = []
    for one in found:
        if not any(one.name == other.name and _coincide(one.box, other.box) for other in distinct):
            distinct.append(one)
    names = [one.name for one in distinct]
    score = 0.0
    for words, number in wanted.items():
        name = _SYNONYMS.get(words, words)
        if name not in names:  # "flower" may be seen as "sunflower"
            names = [name if name in other else other for other in names]
        if name in names:
            score += 0.5 + 0.5 * (names.count(name) == number)
    return score / len(wanted)


def _relation(relation: str | None, box: Box, other: Box) -> float:
    """From 0 to 1."""
    offset = [(other[i] + other[i + 2]) / 2 - (box[i] + box[i + 2]) / 2 for i in (0, 1)]
    away = [abs(way) for way in offset]
    if relation in _NEAR:
        return 1.0 if min(away) < _NEAR_PIXELS else _NEAR_PIXELS / max(away)
    if relation not in _DIRECTIONS:
        return 0.0
    axis, sign = _DIRECTIONS[relation]
    if sign * offset[axis] <= 0 or away[axis] <= away[1 - axis]:
        return 0.0
    overlap = box_overlap(box, other, pixel=0)
    return 1.0 if overlap < _MAX_OVERLAP else _MAX_OVERLAP / overlap


def _coincide(box: Box, other: Box) -> bool:
    """Whether they are nearly the same, or one lies nearly within the other (to the last pixel)."""
    width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) + 1 for i in (0, 1))
    shared = max(width, 0) * max(height, 0)
    areas = [(one[2] - one[0] + 1) * (one[3] - one[1] + 1) for one in (box, other)]
    return shared / min(areas) > _SAME  # which IoU above it implies
