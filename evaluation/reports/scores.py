"""ShapesEval for the page: rows of the forest plot and counts of failures."""

from __future__ import annotations

from collections.abc import Mapping

from evaluation.reports.content import Failures
from evaluation.reports.forest import Forest, Mark, Measured, draw_forest
from evaluation.reports.labels import words
from evaluation.shapeseval.results import Score, ShapesEvalResult

__all__ = ["failures", "forests"]

_MARKS = {"reconstructions": "ceiling", "ground truth": "truth", "shuffled prompts": "chance"}
_TITLES = {"id": "Prompts as in training", "ood": "Prompts held out from training"}


def forests(arms: Mapping[str, ShapesEvalResult]) -> list[Forest]:
    """One forest plot per split: the model with its intervals, the baselines as marks."""
    model = arms.get("samples")
    if model is None:
        return []
    result = []
    for split in model.splits:
        others = {arm: scores for arm, scores in arms.items() if arm in _MARKS and split in scores.splits}
        rows = [_row(model.overall(split), {a: s.overall(split) for a, s in others.items()})]
        by_name = {arm: {one.name: one for one in _groups(scores, split)} for arm, scores in others.items()}
        for group in _groups(model, split):
            marks = {arm: scores[group.name] for arm, scores in by_name.items() if group.name in scores}
            rows.append(_row(group, marks))
        result.append(draw_forest(_TITLES.get(split, split), rows, num_totals=1, is_share=True))
    return result


def failures(arms: Mapping[str, ShapesEvalResult]) -> list[Failures]:
    """Kinds of failures per split, the commonest first."""
    result = arms.get("samples")
    found = []
    for split in result.splits if result else ():
        counts = [(words(kind), (count,)) for kind, count in result.failures(split).items() if count]
        found.append(
            Failures(
                title=_TITLES.get(split, split),
                kinds=tuple(sorted(counts, key=lambda one: -one[1][0])),
                num_images=(sum(image.prompt.split == split for image in result.images),),
            )
        )
    return found


def _groups(scores: ShapesEvalResult, split: str) -> list[Score]:
    """Tasks; for held-out prompts, what is held out about them (it names the task as well, and is finer)."""
    return scores.tasks(split) if split == "id" else scores.levels(split)


def _row(score: Score, marks: Mapping[str, Score]) -> tuple[str, list[Measured], list[Mark]]:
    count = f"{score.num_images} images, {score.num_prompts} prompts"
    drawn = [
        Mark(_MARKS[arm], other.accuracy.value, f"{arm} {other.accuracy.value:.2f}")
        for arm, other in marks.items()
    ]
    return words(score.name), [Measured.of(score.accuracy, count)], drawn
