"""Which numbers of ``samples.jsonl`` a metric is the mean of.

A metric can be compared prompt by prompt if it is a mean over images: of all of them, of a part of them that
its id names (``../id/two_object``), or the unweighted mean over groups of them (GenEval's overall score).
Which it is, is found by trying: a view counts only if it gives the metric's value and number of images back
in both runs. Other metrics (a Fréchet distance) have no paired test.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from evaluation.comparison.runs import EvaluatedRun, prompt_text
from evaluation.results import MetricValue
from evaluation.statistics.bootstrap import Tally
from evaluation.tasks.registry import TASKS

__all__ = ["Columns", "Source", "columns_of", "paired_tallies"]

_SCALES = (1.0, 100.0)
_SAMPLES = "samples"  # ShapesEval's arm of the model's own images; ids name the others last
_DIFFERENCES = "]/gap/"  # ShapesEval's differences of means
_NOT_MEASURED = ("index", "image", "seed", "number", "aspect_ratio")
_NOT_GROUPED = ("prompt", "prompt_id", "rewritten", "file", "sha256", "reason")


class Columns(NamedTuple):
    """Rows of one scorer over one prompt set: values, words to group by, and the prompts."""

    values: Mapping[str, np.ndarray]  # float, NaN where a row has none
    words: Mapping[str, np.ndarray]
    prompts: np.ndarray


class Source(NamedTuple):
    """Who judged: a task of the runner, or ShapesEval by itself; and on which of ShapesEval's arms."""

    prompt_set: str
    task: str
    arm: str

    def gives(self, metric_id: str) -> bool:
        """Whether it is known for metrics of this name."""
        last_knob = metric_id.partition("]")[0].rpartition(",")[2]
        if self.arm and not last_knob.startswith("verifier=" if self.arm == _SAMPLES else self.arm):
            return False
        if _DIFFERENCES in metric_id:
            return False
        return self.task not in TASKS or _name_of(metric_id) in map(_name_of, TASKS[self.task].metrics)


def columns_of(run: EvaluatedRun) -> dict[Source, Columns]:
    """What every scorer has said."""
    rows: dict[Source, list[dict[str, Any]]] = {}
    prompts: dict[Source, list[str]] = {}
    for row in run.rows:
        about = {name: value for name, value in row.items() if name != "tasks"}
        for task, verdict in row.get("tasks", {"shapeseval": {}}).items():
            arm = str(verdict.get("arm", row.get("arm", ""))).replace(" ", "_")
            source = Source(row.get("prompt_set", "prompts"), task, arm)
            rows.setdefault(source, []).append({**_flat(about), **_flat(verdict)})
            prompts.setdefault(source, []).append(prompt_text(row))
    return {source: _columns(group, prompts[source]) for source, group in rows.items()}


def paired_tallies(
    metrics: tuple[MetricValue, MetricValue],
    columns: tuple[Mapping[Source, Columns], Mapping[Source, Columns]],
) -> tuple[Tally, Tally] | None:
    """The metric in both runs as means over the same prompts; None if it is no mean over images."""
    for source in columns[0]:
        if source not in columns[1] or not source.gives(metrics[0].id):
            continue
        first, second = columns[0][source], columns[1][source]
        for view in _views(metrics[0].id, first):
            tallies = view.tally(first), view.tally(second)
            if None in tallies or list(tallies[0][0]) != list(tallies[1][0]):
                continue
            pair = tallies[0][1], tallies[1][1]
            if all(_is_mean(metric, tally) for metric, tally in zip(metrics, pair, strict=True)):
                return pair
    return None


class _View(NamedTuple):
    value: str
    parts: tuple[tuple[str, tuple[str, ...]], ...]  # rows whose word is one of these
    group: str | None
    scale: float

    def tally(self, columns: Columns) -> tuple[list[tuple[str, str]], Tally] | None:
        """Keys of the prompts and their sums; None where the columns are not there."""
        names = {name for name, _ in self.parts} | ({self.group} - {None})
        if self.value not in columns.values or not names <= columns.words.keys():
            return None
        values = columns.values[self.value] * self.scale
        inside = np.isfinite(values)
        for name, words in self.parts:
            inside &= np.isin(columns.words[name], words)
        if not inside.any():
            return None
        groups = columns.words[self.group] if self.group else np.full(len(values), "")
        keys = list(zip(groups[inside].tolist(), columns.prompts[inside].tolist(), strict=True))
        order = sorted(set(keys))
        place = {key: number for number, key in enumerate(order)}
        where = [place[key] for key in keys]
        strata = {group: number for number, group in enumerate(dict.fromkeys(group for group, _ in order))}
        return order, Tally(
            np.bincount(where, values[inside], len(order)),
            np.bincount(where, minlength=len(order)).astype(np.float64),
            np.array([strata[group] for group, _ in order]),
        )


def _views(metric_id: str, columns: Columns) -> Iterator[_View]:
    """What the metric may be a mean of; what its id names first."""
    tokens = _words_of(metric_id)
    named = [(name, tuple(sorted(tokens & set(words.tolist())))) for name, words in columns.words.items()]
    parts = tuple((name, words) for name, words in named if words)
    values = sorted(columns.values, key=lambda name: name not in metric_id)
    for part in dict.fromkeys([parts, *((one,) for one in parts), ()]):
        for value in values:
            for group in (None, *columns.words):
                for scale in _SCALES:
                    yield _View(value, part, group, scale)


def _is_mean(metric: MetricValue, tally: Tally) -> bool:
    """Whether a metric is the mean of these values; rows may be rounded to four digits."""
    is_same = math.isclose(tally.value, metric.value, rel_tol=1e-4, abs_tol=1e-6)
    return is_same and tally.counts_P.sum() == metric.n


def _columns(rows: Sequence[Mapping[str, Any]], prompts: Sequence[str]) -> Columns:
    names = dict.fromkeys(name for row in rows for name in row)
    values: dict[str, np.ndarray] = {}
    words: dict[str, np.ndarray] = {}
    for name in names:
        found = [row.get(name) for row in rows]
        if all(isinstance(one, bool | int | float | None) for one in found):
            if name not in _NOT_MEASURED:
                values[name] = np.array([math.nan if one is None else one for one in found], np.float64)
        elif _are_groups(name, found):
            words[name] = np.array(found)
    return Columns(values, words, np.array(prompts))


def _are_groups(name: str, found: Sequence[Any]) -> bool:
    """Whether a column holds words that several rows share."""
    if name in _NOT_GROUPED or not all(isinstance(one, str) for one in found):
        return False
    return 1 < len(set(found)) <= max(2, len(found) // 2)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the fields of its nested objects, such as ``metadata``, among its own."""
    nested = {k: v for value in row.values() if isinstance(value, Mapping) for k, v in value.items()}
    return {**nested, **{name: value for name, value in row.items() if not isinstance(value, Mapping)}}


def _name_of(metric_id: str) -> str:
    return re.split(r"[\[/]", metric_id)[0]


def _words_of(metric_id: str) -> set[str]:
    return set(re.split(r"[^\w .-]+", metric_id))
