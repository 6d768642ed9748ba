"""Runs of one model with different settings of the sampler: heat maps, and what one metric costs another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from evaluation.reports.content import Sweep
from evaluation.reports.figures import Dot, scatter_chart
from evaluation.reports.labels import ARROWS, is_baseline, label_of
from evaluation.reports.runs import EvaluatedRun
from evaluation.results import MetricValue

__all__ = ["is_sweep", "pareto_front", "sweeps", "trade_off"]


def sweeps(runs: Sequence[EvaluatedRun], metric_ids: Sequence[str]) -> tuple[Sweep, ...]:
    """A heat map of every metric that settings change: guidance downwards, temperature to the right."""
    if not is_sweep(runs):
        return ()
    settings = [(run.setting["guidance"], run.setting["temperature"]) for run in runs]
    rows, columns = (tuple(sorted({one[axis] for one in settings}, key=_numbers)) for axis in (0, 1))
    found = []
    for metric_id in metric_ids:
        metrics = {
            setting: metric
            for setting, run in zip(settings, runs, strict=True)
            for metric in run.result.metrics
            if metric.id == metric_id
        }
        values = {metric.value for metric in metrics.values() if not is_baseline(metric)}
        if len(values) > 1:
            cells = tuple(tuple(metrics.get((row, column)) for column in columns) for row in rows)
            title = label_of(next(iter(metrics.values())))
            found.append(Sweep(title=title, rows=rows, columns=columns, cells=cells))
    return tuple(found)


def is_sweep(runs: Sequence[EvaluatedRun]) -> bool:
    """Whether the runs are of the same weights, each with a guidance and temperature of its own."""
    settings = [(run.setting.get("guidance"), run.setting.get("temperature")) for run in runs]
    weights = {tuple(sorted(run.result.provenance.checkpoints.items())) for run in runs}
    is_known = all(None not in one for one in settings)
    return is_known and len(runs) > 1 and len(set(settings)) == len(runs) and len(weights) == 1


def trade_off(runs: Sequence[EvaluatedRun], metric_ids: Sequence[str]) -> str:
    """Two metrics of every run against each other, the front marked; empty if there are no two.

    The first pair of which one is better low and one better high is taken, as with FID over CLIPScore.
    """
    shared = [
        metrics
        for metric_id in metric_ids
        if (metrics := [m for run in runs for m in run.result.metrics if m.id == metric_id])
        and len(metrics) == len(runs)
        and metrics[0].direction != "none"
        and not is_baseline(metrics[0])
        and len({metric.value for metric in metrics}) > 1
    ]
    if not is_sweep(runs) or len(shared) < 2:
        return ""
    pairs = list(combinations(shared, 2))
    apart = (pair for pair in pairs if pair[0][0].direction != pair[1][0].direction)
    across, up = next(apart, pairs[0])
    front = pareto_front(across, up)
    dots = [
        Dot(
            across=one.value,
            up=other.value,
            label=f"{run.setting['guidance']} / {run.setting['temperature']}",
            is_front=number in front,
        )
        for number, (run, one, other) in enumerate(zip(runs, across, up, strict=True))
    ]
    return scatter_chart(dots, *(f"{label_of(one)} {ARROWS[one.direction]}" for one in (across[0], up[0])))


def pareto_front(across: Sequence[MetricValue], up: Sequence[MetricValue]) -> set[int]:
    """Numbers of the runs that no other is at least as good as in both metrics, and better in one."""
    points = [(_better_high(one), _better_high(other)) for one, other in zip(across, up, strict=True)]

    def beaten(point: tuple[float, float]) -> bool:
        return any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in points)

    return {number for number, point in enumerate(points) if not beaten(point)}


def _better_high(metric: MetricValue) -> float:
    return -metric.value if metric.direction == "lower" else metric.value


def _numbers(setting: str) -> tuple[float, ...]:
    return tuple(map(float, setting.split(",")))
