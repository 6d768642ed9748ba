"""GenEval's numbers from verdicts: per task, overall, of images and of prompts, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluation.geneval.vocabulary import TASKS
from evaluation.intervals import Estimate, clustered_share, mean_of_estimates, wilson
from evaluation.results import MetricValue, Table

__all__ = ["Outcome", "geneval_metrics", "geneval_table"]


class Outcome(NamedTuple):
    """The verdict on one image."""

    tag: str
    prompt_id: str
    correct: bool


class _Share(NamedTuple):
    estimate: Estimate
    num: int  # images, or prompts


def geneval_metrics(outcomes: Sequence[Outcome], *, knobs: str, note: str = "") -> tuple[MetricValue, ...]:
    """``overall`` is the unweighted mean of the tasks; ``prompts`` have at least one correct image.

    Args:
        knobs: what else changes the numbers; the numbers of prompts and images are added.
    """
    prompts = {(one.tag, one.prompt_id) for one in outcomes}
    tasks = _tasks(outcomes)
    right = {(one.tag, one.prompt_id) for one in outcomes if one.correct}
    shares = {
        "overall": _Share(mean_of_estimates([one.estimate for one in tasks.values()]), len(outcomes)),
        **tasks,
        "images": _share(outcomes),
        "prompts": _Share(wilson(len(right) / len(prompts), len(prompts)), len(prompts)),
    }
    prefix = f"geneval[{knobs},prompts={len(prompts)},images={len(outcomes)}]"
    return tuple(
        MetricValue(
            id=f"{prefix}/{name}",
            value=share.estimate.value,
            direction="higher",
            n=share.num,
            ci95=(share.estimate.low, share.estimate.high),
            note=note,
        )
        for name, share in shares.items()
    )


def geneval_table(outcomes: Sequence[Outcome]) -> Table:
    """Tasks with their images, correct ones, and shares in percent."""
    rows = [
        (
            tag,
            share.num,
            round(share.estimate.value * share.num),
            *(round(100 * x, 2) for x in share.estimate),
        )
        for tag, share in _tasks(outcomes).items()
    ]
    return Table(columns=("task", "images", "correct", "%", "from", "to"), rows=tuple(rows))


def _tasks(outcomes: Sequence[Outcome]) -> dict[str, _Share]:
    tags = {one.tag for one in outcomes}
    order = [tag for tag in TASKS if tag in tags] + sorted(tags - set(TASKS))
    return {tag: _share([one for one in outcomes if one.tag == tag]) for tag in order}


def _share(outcomes: Sequence[Outcome]) -> _Share:
    ids = [one.prompt_id for one in outcomes]
    return _Share(clustered_share([one.correct for one in outcomes], ids), len(outcomes))
