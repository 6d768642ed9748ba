"""Detections around every limit of GenEval's scorer, for which the script's verdicts were recorded.

Only ``random.Random.random`` is drawn from, which is the same in every version of Python.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from evaluation.geneval.vocabulary import CLASSES, COLORS

__all__ = ["NUM_DRAWS", "reasons_digest", "synthetic_lines"]

NUM_DRAWS = 4

Drawn = TypeVar("Drawn")

_SCORES = (0.1, 0.3, 0.31, 0.6, 0.9, 0.9, 0.91, 0.95, 0.97, 0.99)
_SAME_PLACE = [150.0, 150.0, 210.0, 190.0]


def synthetic_lines(prompts: Sequence[Mapping[str, Any]], draw: int) -> list[dict[str, Any]]:
    """A line for ``score-detections`` per prompt."""
    rng = random.Random(draw)
    return [{**prompt, "detections": _detections(prompt, rng)} for prompt in prompts]


def reasons_digest(verdicts: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of all reasons, a JSON string a line."""
    lines = "".join(json.dumps(one["reason"]) + "\n" for one in verdicts)
    return hashlib.sha256(lines.encode()).hexdigest()


def _detections(prompt: Mapping[str, Any], rng: random.Random) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for clause in (*prompt["include"], {"class": _one_of(CLASSES, rng), "count": 1}):
        num = clause["count"] + _one_of((-1, 0, 0, 0, 0, 1, 2, 17), rng)
        for _ in range(num):
            found.append(_detection(clause, len(found), rng))
    order = sorted((rng.random(), number) for number in range(len(found)))
    return [found[number] for _, number in order]


def _detection(clause: Mapping[str, Any], number: int, rng: random.Random) -> dict[str, Any]:
    """One of a clause's class; scores differ, as the script leaves the order of equal ones open."""
    x, y = 40.0 * int(11 * rng.random()), 40.0 * int(11 * rng.random())
    width, height = (_one_of((7.0, 35.5, 90.0), rng) for _ in range(2))
    color = clause["color"] if "color" in clause and rng.random() < 0.7 else _one_of(COLORS, rng)
    return {
        "class": clause["class"],
        "box": list(_SAME_PLACE) if rng.random() < 0.1 else [x, y, x + width, y + height],
        "score": _one_of(_SCORES, rng) + 1e-6 * number,
        "color": color,
    }


def _one_of(values: Sequence[Drawn], rng: random.Random) -> Drawn:
    return values[int(len(values) * rng.random())]
