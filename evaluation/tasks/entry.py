"""What is known of a task before anything heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from evaluation.results import Direction
from evaluation.weights import WeightFile

__all__ = ["Needs", "TaskEntry", "fits"]

Needs = Literal["data", "pipeline"]


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """A line of ``python -m evaluation list``.

    Args:
        summary: one line.
        target: ``module:Class`` of the task.
        metrics: templates of all its metric ids, with their knobs, see :func:`fits`.
        direction: which way they are better, but for those in `higher` and `lower`.
        weights: files that it can't do without.
        options: keyword arguments of the class that this entry fixes.
        needs: of the context.
        stand_in_for: the published metric that it stands in for, without ever carrying its name.
    """

    summary: str
    target: str
    metrics: tuple[str, ...]
    direction: Direction = "higher"
    higher: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    weights: tuple[WeightFile, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[Needs, ...] = ()
    stand_in_for: str = ""

    def direction_of(self, metric: str) -> Direction:
        """Of one of `metrics`."""
        return "higher" if metric in self.higher else "lower" if metric in self.lower else self.direction


def fits(template: str, metric_id: str) -> bool:
    """Whether an id is one of a template, in which ``*``, ``<word>`` and ``{a,b}`` stand for anything."""
    return fnmatchcase(metric_id, re.sub(r"\{.*?\}|<\w+>", "*", template).replace("[", "[[]"))
