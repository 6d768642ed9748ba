"""Rows of ``samples.jsonl`` as verdicts: one per image and task, whichever command wrote them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evaluation.reports.content import Box
from evaluation.reports.labels import words
from evaluation.shapeseval.results import LENIENT

__all__ = ["Verdict", "read_verdicts"]

_KINDS = {"read": "other words read", "no": "a question answered with no"}
_GROUPS = {
    "tag": "kind of prompt",
    "level": "what is held out",
    "style": "style",
    "aspect_ratio": "aspect ratio",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a task says about one image.

    Args:
        correct: for tasks that judge; None for those that score.
        score: a number; 1 or 0 for tasks that judge.
        file: of the image, below the run's folder; empty if there is none.
        groups: which slices it belongs to, by what they slice.
    """

    task: str
    prompt_set: str
    prompt_id: str
    index: int
    prompt: str
    correct: bool | None
    score: float
    reason: str = ""
    failures: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    file: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def image(self) -> tuple[str, str, int]:
        """Which image it is about, the same in every run."""
        return self.prompt_set, self.prompt_id, self.index


def read_verdicts(rows: Iterable[Mapping[str, Any]]) -> list[Verdict]:
    """All verdicts and scores of a run's images.

    Rows have the verdicts of several tasks (``tasks``), or are one task's each (``task``), or are
    ShapesEval's (``arm``, of which the model's own samples count). Those without a verdict and without a
    score are passed over.
    """
    return [verdict for row in rows for verdict in _of_row(row)]


def _of_row(row: Mapping[str, Any]) -> Iterator[Verdict]:
    if "arm" in row:
        lenient = f" ({LENIENT})" if LENIENT in row["knobs"].split(",") else ""
        found = {f"shapeseval{lenient}": {}} if row["arm"] == "samples" else {}
    else:
        found = row.get("tasks") or {row.get("task", ""): {}}
    for task, own in found.items():
        fields = {**(row.get("metadata") or {}), **row, **own}
        correct, score = fields.get("correct"), fields.get("score")
        if not isinstance(correct, bool | None):
            raise TypeError(f"expected correct to be true or false, got {correct}")
        if not isinstance(score, int | float):
            score = None if correct is None else float(correct)
        if score is None:
            continue
        if not math.isfinite(score):
            raise ValueError(
                f"image {fields.get('index', 0)} of prompt {fields['prompt_id']} has no finite score by "
                f"{task}; score it again"
            )
        reason = str(fields.get("reason") or "")
        yield Verdict(
            task=task,
            prompt_set=str(fields.get("prompt_set") or task),
            prompt_id=str(fields["prompt_id"]),
            index=int(fields.get("index", fields.get("image", 0))),
            prompt=str(fields.get("prompt") or fields["prompt_id"]),
            correct=correct,
            score=float(score),
            reason=reason,
            failures=_failures(fields.get("failures"), reason) if correct is False else (),
            boxes=tuple(_boxes(fields.get("detections") or ())),
            file=str(fields.get("file") or ""),
            groups=_groups(fields),
        )


def _groups(fields: Mapping[str, Any]) -> dict[str, str]:
    groups = {}
    for name, what in _GROUPS.items():
        value = fields.get(name)
        if value not in (None, ""):
            groups[what] = f"{value:.3g}" if isinstance(value, float) else words(str(value))
    if "kind of prompt" in groups and fields.get("split"):
        groups["kind of prompt"] += f", {words(fields['split'])}"
    return groups


def _failures(kinds: Iterable[str] | None, reason: str) -> tuple[str, ...]:
    """Kinds of failures: as they are named, or as the words of the reason tell (GenEval's)."""
    if kinds:
        return tuple(kinds)
    return tuple(dict.fromkeys(_kind(line) for line in reason.splitlines() if line)) or ("no reason given",)


def _kind(line: str) -> str:
    words, kind = line.split(), line.split(": ")[0]
    if line.startswith("no target"):
        return "nothing to be placed beside"
    if not line.startswith("expected "):
        return _KINDS.get(kind, "".join("#" if letter.isdigit() else letter for letter in kind)[:60])
    if line.endswith(" target"):
        return "wrong position"
    if "; and" in line:
        return "wrong color"
    return "too many" if "<" in words[1] or "<" in line.split(",")[0] else "missing or too few"


def _boxes(detections: Any) -> Iterator[Box]:
    """Boxes with their names; of a list, or of lists by class."""
    if isinstance(detections, Mapping):
        detections = [{"class": name, **one} for name, group in detections.items() for one in group]
    for one in detections:
        name = one.get("class") or one.get("shape") or one.get("label") or ""
        label = " ".join(str(word) for word in (one.get("color"), name) if word)
        score = one.get("score", one.get("shape_score"))
        box = [float(side) for side in (one.get("box") or ())[:4]]
        if len(box) == 4:
            yield Box(sides=(box[0], box[1], box[2], box[3]), label=label, score=score)
