"""Forest plots: values with their intervals as dots on a common axis, some beside others of other runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from evaluation.intervals import Estimate
from evaluation.reports.figures import COLORS, nice_ticks
from evaluation.reports.labels import format_number, num_decimals

__all__ = ["Bar", "Forest", "ForestRow", "Mark", "Measured", "draw_forest"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A value to draw; `run` says whose, where several share a row."""

    value: float
    ci95: tuple[float, float] | None
    count: str
    run: int = 0

    @classmethod
    def of(cls, estimate: Estimate, count: str, run: int = 0) -> Measured:
        return cls(value=estimate.value, ci95=(estimate.low, estimate.high), count=count, run=run)


@dataclass(frozen=True)
class Mark:
    """A value to compare with, e.g. chance or the paper's."""

    kind: str
    value: float
    text: str
    place: float = 0.0  # in percent of the axis


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A dot with its interval, in percent of the axis."""

    dot: float
    left: float
    width: float
    color: str
    score: str
    interval: str
    count: str
    run: int = 0


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    label: str
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    is_total: bool = False


@dataclass(frozen=True, kw_only=True)
class Forest:
    title: str
    rows: tuple[ForestRow, ...]
    ticks: tuple[tuple[float, str], ...]  # place in percent, text
    note: str = ""

    @property
    def has_marks(self) -> bool:
        return any(row.marks for row in self.rows)


def draw_forest(
    title: str,
    rows: Sequence[tuple[str, Sequence[Measured], Sequence[Mark]]],
    *,
    note: str = "",
    num_totals: int = 0,
    is_share: bool = False,
) -> Forest:
    """Lay out rows of (label, values, marks) on one axis: 0 to 1 for shares, else what the values span.

    Values that span a good part of 0 to 1 are taken for shares.

    Args:
        num_totals: so many rows at the top are sums of the others.
    """
    ends = [end for _, values, _ in rows for one in values for end in (one.value, *(one.ci95 or ()))]
    ends += [mark.value for *_, marks in rows for mark in marks]
    low, high = (0.0, 1.0) if is_share else _axis([end for end in ends if math.isfinite(end)] or [0.0])

    def place(value: float) -> float:
        return 100 * (value - low) / (high - low)

    decimals = [num for _, values, _ in rows for one in values if (num := num_decimals(one.ci95)) is not None]
    write = partial(format_number, decimals=max([2, *decimals] if is_share else decimals, default=None))
    drawn = [
        ForestRow(
            label=label,
            bars=tuple(_bar(one, place, write) for one in values),
            marks=tuple(Mark(one.kind, one.value, one.text, place(one.value)) for one in marks),
            is_total=number < num_totals,
        )
        for number, (label, values, marks) in enumerate(rows)
    ]
    steps = (0, 0.25, 0.5, 0.75, 1) if (low, high) == (0, 1) else nice_ticks(low, high, 5)
    ticks = tuple((place(step), f"{step:g}") for step in steps)
    return Forest(title=title, rows=tuple(drawn), ticks=ticks, note=note)


def _bar(one: Measured, place: Callable[[float], float], write: Callable[[float], str]) -> Bar:
    low, high = one.ci95 or (one.value, one.value)
    return Bar(
        dot=place(one.value),
        left=place(low),
        width=place(high) - place(low),
        color=COLORS[one.run % len(COLORS)],
        score=write(one.value),
        interval=f"{write(low)} to {write(high)}" if one.ci95 else "",
        count=one.count,
        run=one.run,
    )


def _axis(ends: Sequence[float]) -> tuple[float, float]:
    low, high = min(ends), max(ends)
    if low >= 0 and high <= 1 and high - low > 0.25:
        return 0.0, 1.0
    margin = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin
