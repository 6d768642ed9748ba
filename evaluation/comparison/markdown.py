"""A comparison as a page of Markdown, which reads well in a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evaluation.comparison.compare import Comparison, MetricDifference

__all__ = ["render_comparison", "render_table"]

_COLUMNS = (
    *("metric", "A", "B", "B - A", "95 % interval", "p", "p (Holm)"),
    *("detectable", "test", "B is"),
)
_NUM_NAMED = 4


def render_comparison(comparison: Comparison) -> str:
    """The page, ending in a newline."""
    tested = [one for one in comparison.metrics if one.p is not None]
    lines = [f"# {comparison.second} against {comparison.first}", ""]
    lines += [f"A is {comparison.first}, B is {comparison.second}.", ""]
    lines += render_table(_COLUMNS, [_row(one) for one in comparison.metrics])
    lines += [
        "",
        f"Paired prompts: {comparison.num_resamples} bootstrap resamples of prompts, both runs on the same "
        "ones. Intervals: from each run's own interval, as if independent. p (Holm) is corrected for the "
        f"{len(tested)} metrics tested. Detectable: the true difference that a study of this size finds with "
        "probability 0.8.",
    ]
    if untested := [one.id for one in comparison.metrics if one.p is None and one.direction != "none"]:
        lines += [
            "",
            f"Not tested, for want of rows and intervals: {', '.join(untested)}. Draw and score with three "
            "or more seeds to see how much these vary.",
        ]
    if comparison.left_out:
        named = ", ".join(comparison.left_out[:_NUM_NAMED])
        more = ", .." if len(comparison.left_out) > _NUM_NAMED else ""
        lines += ["", f"{len(comparison.left_out)} metrics of one run alone were left out: {named}{more}"]
    if comparison.settings:
        lines += ["", "## What else differs", ""]
        rows = [(name, _short(a), _short(b)) for name, (a, b) in comparison.settings.items()]
        lines += render_table(("setting", "A", "B"), rows)
    return "\n".join(lines) + "\n"


def render_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table whose columns are aligned in plain text as well."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in (columns, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _row(one: MetricDifference) -> tuple[str, ...]:
    arrow = {"higher": " (higher is better)", "lower": " (lower is better)", "none": ""}[one.direction]
    prompts = f", {one.num_prompts}" if one.num_prompts else ""
    return (
        f"{one.id}{arrow}",
        f"{one.first:.5g}",
        f"{one.second:.5g}",
        f"{round(one.difference, 12) + 0.0:+.4g}",  # without roundings of sums, and no minus before zero
        "" if one.ci95 is None else f"{one.ci95[0]:+.4g} to {one.ci95[1]:+.4g}",
        _p(one.p),
        _p(one.p_holm),
        "" if one.detectable is None else f"{one.detectable:.3g}",
        f"{one.test}{prompts}",
        one.verdict,
    )


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + ".."
