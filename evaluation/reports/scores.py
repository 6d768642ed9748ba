"""ShapesEval for the page: rows of the forest plot and counts of failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.reports.labels import words
from evaluation.shapeseval.results import Score, ShapesEvalResult

__all__ = ["Failure", "Forest", "ForestRow", "failures", "forests"]

_MARKS = {"reconstructions": "ceiling", "ground truth": "truth", "shuffled prompts": "chance"}
_TITLES = {"id": "Prompts as in training", "ood": "Prompts held out from training"}


@dataclass(frozen=True)
class ForestRow:
    label: str
    score: str
    interval: str
    count: str
    left: float  # of the interval, in percent of the axis
    width: float
    dot: float
    marks: tuple[tuple[str, float, str], ...]  # kind, place in percent, text
    is_total: bool = False


@dataclass(frozen=True)
class Forest:
    title: str
    rows: tuple[ForestRow, ...]


@dataclass(frozen=True)
class Failure:
    label: str
    count: int
    share: float  # of all images, in percent
    width: float  # of the bar, in percent


def forests(arms: Mapping[str, ShapesEvalResult]) -> list[Forest]:
    """One forest plot per split: the model with its intervals, the baselines as marks."""
    model = arms.get("samples")
    if model is None:
        return []
    result = []
    for split in model.splits:
        others = {arm: scores for arm, scores in arms.items() if arm in _MARKS and split in scores.splits}
        rows = [_row(model.overall(split), {a: s.overall(split) for a, s in others.items()}, is_total=True)]
        by_name = {arm: {one.name: one for one in _groups(scores, split)} for arm, scores in others.items()}
        for group in _groups(model, split):
            marks = {arm: scores[group.name] for arm, scores in by_name.items() if group.name in scores}
            rows.append(_row(group, marks))
        result.append(Forest(_TITLES.get(split, split), tuple(rows)))
    return result


def failures(result: ShapesEvalResult, split: str) -> list[Failure]:
    """Kinds of failures, the commonest first."""
    num = sum(image.prompt.split == split for image in result.images)
    counts = {kind: count for kind, count in result.failures(split).items() if count}
    most = max(counts.values(), default=1)
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return [Failure(words(kind), count, 100 * count / num, 100 * count / most) for kind, count in ordered]


def _groups(scores: ShapesEvalResult, split: str) -> list[Score]:
    """Tasks; for held-out prompts, what is held out about them (it names the task as well, and is finer)."""
    return scores.tasks(split) if split == "id" else scores.levels(split)


def _row(score: Score, marks: Mapping[str, Score], *, is_total: bool = False) -> ForestRow:
    value, low, high = score.accuracy
    return ForestRow(
        label=words(score.name),
        score=f"{value:.2f}",
        interval=f"{low:.2f} to {high:.2f}",
        count=f"{score.num_images} images, {score.num_prompts} prompts",
        left=100 * low,
        width=100 * (high - low),
        dot=100 * value,
        marks=tuple(
            (_MARKS[arm], 100 * other.accuracy.value, f"{arm} {other.accuracy.value:.2f}")
            for arm, other in marks.items()
        ),
        is_total=is_total,
    )
