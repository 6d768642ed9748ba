"""Scores by kind of prompt and by aspect ratio, whole metrics across runs, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from evaluation.intervals import Estimate, bootstrap_mean, clustered_share
from evaluation.reports.content import Failures
from evaluation.reports.forest import Forest, Mark, Measured, draw_forest
from evaluation.reports.labels import label_of, title_of, words
from evaluation.reports.paper import published
from evaluation.reports.runs import EvaluatedRun
from evaluation.reports.verdicts import Verdict

__all__ = ["failure_kinds", "forests_of_metrics", "forests_of_slices"]

_MAX_KINDS = 12


def forests_of_metrics(runs: Sequence[EvaluatedRun], metric_ids: Sequence[str]) -> tuple[Forest, ...]:
    """A plot per metric with a row per run, and the paper's number as a mark."""
    plots = []
    for metric_id in metric_ids:
        rows = []
        for number, run in enumerate(runs):
            for metric in run.result.metrics:
                if metric.id == metric_id:
                    papers = published(metric, run.result)
                    measured = Measured(
                        value=metric.value, ci95=metric.ci95, count=f"n = {metric.n}", run=number
                    )
                    marks = [
                        Mark("paper", one.value, f"paper {one.text}") for one in papers if len(papers) == 1
                    ]
                    rows.append((run.name, [measured], marks))
                    title = label_of(metric)
        if len(rows) > 1:
            plots.append(draw_forest(title, rows, note=metric_id))
    return tuple(plots)


def forests_of_slices(
    runs: Sequence[EvaluatedRun], *, without: Iterable[tuple[str, str]] = ()
) -> tuple[Forest, ...]:
    """A plot per task and way to slice it, where that tells slices apart; runs share a row.

    Args:
        without: (task, way) that are shown elsewhere.
    """
    ways = dict.fromkeys(
        (verdict.task, way) for run in runs for _, verdict in run.verdicts for way in verdict.groups
    )
    return tuple(
        plot for task, way in ways if (task, way) not in set(without) for plot in _sliced(runs, task, way)
    )


def _sliced(runs: Sequence[EvaluatedRun], task: str, way: str) -> list[Forest]:
    slices: dict[str, list[list[Verdict]]] = {}
    for number, run in enumerate(runs):
        for _, verdict in run.verdicts:
            if verdict.task == task and way in verdict.groups:
                slices.setdefault(verdict.groups[way], [[] for _ in runs])[number].append(verdict)
    if len(slices) < 2:
        return []
    names = sorted(slices, key=float) if way == "aspect ratio" else list(slices)
    rows = []
    for name in names:
        measured = [
            Measured.of(_estimate(found), f"{len(found)} images", number)
            for number, found in enumerate(slices[name])
            if found
        ]
        rows.append((name, measured, ()))
    note = "Mean over images; intervals allow for images of one prompt being alike."
    is_share = all(one.correct is not None for found in slices.values() for own in found for one in own)
    return [draw_forest(f"{title_of(task)}, by {way}", rows, note=note, is_share=is_share)]


def _estimate(verdicts: Sequence[Verdict]) -> Estimate:
    if all(verdict.correct is not None for verdict in verdicts):
        return clustered_share([bool(one.correct) for one in verdicts], [one.prompt for one in verdicts])
    by_prompt: dict[str, list[float]] = {}
    for verdict in verdicts:
        by_prompt.setdefault(verdict.prompt_id, []).append(verdict.score)
    return bootstrap_mean([sum(scores) / len(scores) for scores in by_prompt.values()])


def failure_kinds(runs: Sequence[EvaluatedRun], *, without: Iterable[str] = ()) -> tuple[Failures, ...]:
    """Kinds of failures of every task that judges, in every run."""
    tasks = dict.fromkeys(one.task for run in runs for _, one in run.verdicts if one.correct is not None)
    found = []
    for task in tasks:
        if task in without:
            continue
        judged = [[one for _, one in run.verdicts if one.task == task] for run in runs]
        counts = [Counter(words(kind) for one in own for kind in one.failures) for own in judged]
        kinds = [kind for kind, _ in sum(counts, Counter()).most_common(_MAX_KINDS)]
        rest = tuple(own.total() - sum(own[kind] for kind in kinds) for own in counts)
        shown = [(kind, tuple(own[kind] for own in counts)) for kind in kinds]
        shown += [("of other kinds", rest)] if any(rest) else []
        found.append(Failures(title=title_of(task), kinds=tuple(shown), num_images=tuple(map(len, judged))))
    return tuple(found)
