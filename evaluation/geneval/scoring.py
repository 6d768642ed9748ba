"""GenEval's verdict on one image from its detections, branch by branch as the official script has it.

Reasons are in the official words too, so that results can be compared line by line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from evaluation.geneval.vocabulary import COLORS

__all__ = [
    "Detected",
    "GenEvalRule",
    "GenEvalVerdict",
    "box_overlap",
    "judge_image",
    "judge_objects",
    "relations",
]

Box = Sequence[float]


class _Scored(Protocol):
    @property
    def box(self) -> Box: ...

    @property
    def score(self) -> float: ...


Found = TypeVar("Found", bound=_Scored)


class Detected(NamedTuple):
    """A detection; its colour, where one was told by a classifier."""

    box: Box  # x1, y1, x2, y2 in pixels
    score: float
    color: str | None = None


class GenEvalVerdict(NamedTuple):
    """The judgement; `reason` has one line per clause that fails, and is empty if and only if none does."""

    correct: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class GenEvalRule:
    """The script's options, with its defaults.

    Args:
        threshold: detections count above this score.
        counting_threshold: the same for the task "counting".
        max_objects: of a class, the highest scores first.
        max_overlap: intersection over union from which the lower score is dropped; 1 for never.
        position_threshold: share of the objects' sizes that the distance of centres has to exceed.
    """

    threshold: float = 0.3
    counting_threshold: float = 0.9
    max_objects: int = 16
    max_overlap: float = 1.0
    position_threshold: float = 0.1

    def kept(self, detections: Sequence[Found], tag: str) -> list[Found]:
        """The detections of one class that count, best first."""
        threshold = self.counting_threshold if tag == "counting" else self.threshold
        # equal scores: the later first, as NumPy's sort of up to 16 scores leaves it to the script
        order = np.argsort([one.score for one in detections], kind="stable")[::-1]
        best = [detections[i] for i in order if detections[i].score > threshold][: self.max_objects]
        if self.max_overlap == 1:
            return best
        apart: list[Found] = []
        for one in best:
            if all(box_overlap(other.box, one.box) < self.max_overlap for other in apart):
                apart.append(one)
        return apart


_OFFICIAL = GenEvalRule()


def judge_image(
    detections: Mapping[str, Sequence[Detected]], metadata: Mapping[str, Any], rule: GenEvalRule = _OFFICIAL
) -> GenEvalVerdict:
    """Judge one image by all its detections by class, in any order; see :func:`judge_objects`."""
    tag = metadata.get("tag", "")
    objects = {name: rule.kept(found, tag) for name, found in detections.items()}
    return judge_objects(objects, metadata, rule)


def judge_objects(
    objects: Mapping[str, Sequence[Detected]], metadata: Mapping[str, Any], rule: GenEvalRule = _OFFICIAL
) -> GenEvalVerdict:
    """Judge one image: every clause of ``include`` must hold, and none of ``exclude``.

    Args:
        objects: the detections that count by class, best first, as :meth:`GenEvalRule.kept` gives them.
        metadata: a line of GenEval's prompts: ``include``, ``exclude``.
    """
    groups: list[Sequence[Detected] | None] = []  # per clause, what it matched
    reasons: list[str] = []
    for clause in metadata.get("include") or ():
        best = objects.get(clause["class"], ())[: clause["count"]]
        failures = _include_failures(clause, best, groups, rule)
        groups.append(None if failures else best)
        reasons += failures
    for clause in metadata.get("exclude") or ():
        num = len(objects.get(clause["class"], ()))
        if num >= clause["count"]:
            reasons.append(f"expected {clause['class']}<{clause['count']}, found {num}")
    return GenEvalVerdict(not reasons, "\n".join(reasons))


def _include_failures(
    clause: Mapping[str, Any],
    best: Sequence[Detected],
    groups: Sequence[Sequence[Detected] | None],
    rule: GenEvalRule,
) -> list[str]:
    """At most one, as colour is asked for only where the number is right, and position where colour is."""
    name, count = clause["class"], clause["count"]
    if len(best) < count:
        return [f"expected {name}>={count}, found {len(best)}"]
    if (wanted := clause.get("color")) is not None:
        colors = [one.color for one in best]
        num = colors.count(wanted)
        if num < count:
            seen = ", ".join(f"{colors.count(color)} {color}" for color in COLORS if color in colors)
            return [f"expected {wanted} {name}>={count}, found {num} {wanted}; and {seen}"]
    if (position := clause.get("position")) is not None:
        wanted, target = position
        targets = groups[target]
        if targets is None:
            return [f"no target for {name} to be {wanted}"]
        for one in best:
            for other in targets:
                found = relations(one.box, other.box, rule.position_threshold)
                if wanted not in found:
                    return [f"expected {name} {wanted} target, found {' and '.join(found)} target"]
    return []


def relations(box: Box, other: Box, threshold: float = _OFFICIAL.position_threshold) -> tuple[str, ...]:
    """How `box` lies relative to `other`: by its centre, once a share of both sizes is taken off the way."""
    offsets, shortened = [], []
    for low, high in ((0, 2), (1, 3)):
        offset = (box[low] + box[high]) / 2 - (other[low] + other[high]) / 2
        sizes = abs(box[high] - box[low]) + abs(other[high] - other[low])
        offsets.append(offset)
        shortened.append(math.copysign(max(abs(offset) - threshold * sizes, 0.0), offset))
    if all(abs(way) < 1e-3 for way in shortened):
        return ()
    right, down = (way / math.hypot(*offsets) for way in shortened)
    holds = {"left of": right < -0.5, "right of": right > 0.5, "above": down < -0.5, "below": down > 0.5}
    return tuple(name for name, held in holds.items() if held)


def box_overlap(box: Box, other: Box, *, pixel: float = 1) -> float:
    """Intersection over union, where a box includes its last pixel; with `pixel` 0 it does not."""

    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(x2 - x1 + pixel, 0) * max(y2 - y1 + pixel, 0)

    x1, y1 = (max(box[i], other[i]) for i in (0, 1))
    x2, y2 = (min(box[i], other[i]) for i in (2, 3))
    shared = area(x1, y1, x2, y2)
    union = area(*box[:4]) + area(*other[:4]) - shared
    return shared / union if union else 0.0
