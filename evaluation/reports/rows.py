"""Rows of the tables of numbers: one per metric id, a cell per run, and the paper's number of that metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.reports.labels import default_headline, is_baseline, label_of
from evaluation.reports.paper import is_stand_in, published
from evaluation.results import MetricValue, Result

__all__ = ["MetricCell", "MetricRow", "headline_ids", "metric_rows"]


@dataclass(frozen=True)
class MetricCell:
    metric: MetricValue
    is_best: bool


@dataclass(frozen=True, kw_only=True)
class MetricRow:
    label: str
    id: str
    direction: str
    cells: tuple[MetricCell | None, ...]  # None where a run lacks it
    paper: tuple[str, ...]  # none unless every run has measured the very same
    is_stand_in: bool


def headline_ids(results: Mapping[str, Result]) -> tuple[str, ...]:
    """The metrics that matter most of all runs."""
    return default_headline(tuple({metric.id: metric for metric in _all(results)}.values()))


def metric_rows(results: Mapping[str, Result], metric_ids: Sequence[str] | None = None) -> list[MetricRow]:
    """Rows of these metrics; of all, in the order of the runs, if None."""
    by_run = [{metric.id: metric for metric in result.metrics} for result in results.values()]
    everything = {metric.id: metric for metric in _all(results)}
    rows = []
    for metric_id in everything if metric_ids is None else metric_ids:
        one = everything[metric_id]
        found = [metrics.get(metric_id) for metrics in by_run]
        values = [metric.value for metric in found if metric]
        papers = [
            published(metric, result)
            for metric, result in zip(found, results.values(), strict=True)
            if metric
        ]
        best = {"higher": max(values), "lower": min(values), "none": None}[one.direction]
        best = best if len(set(values)) > 1 and not is_baseline(one) else None
        rows.append(
            MetricRow(
                label=label_of(one),
                id=metric_id,
                direction=one.direction,
                cells=tuple(MetricCell(metric, metric.value == best) if metric else None for metric in found),
                paper=tuple(number.text for number in papers[0]) if all(papers) else (),
                is_stand_in=is_stand_in(one),
            )
        )
    return rows


def _all(results: Mapping[str, Result]) -> list[MetricValue]:
    return [metric for result in results.values() for metric in result.metrics]
