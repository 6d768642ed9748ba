"""Render ``report.md``: the same numbers for a terminal or a code host, with pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from evaluation.reports.content import Failures, Grid, ReportContent, Sweep
from evaluation.reports.facts import all_caveats, provenance_facts
from evaluation.reports.figures import history_panels
from evaluation.reports.forest import Forest
from evaluation.reports.history import History
from evaluation.reports.labels import format_column, format_interval, format_value, heading_of
from evaluation.reports.rows import MetricRow, headline_ids, metric_rows
from evaluation.reports.scores import failures, forests
from evaluation.results import MetricValue, Result, Table

__all__ = ["metrics_in_markdown", "render_markdown"]

_KINDS = {"ceiling": "ceiling", "truth": "ground truth", "chance": "shuffled prompts"}


def render_markdown(
    results: Mapping[str, Result], content: ReportContent, pictures: Mapping[str, Path]
) -> str:
    """The page as text.

    Args:
        results: by name of the run; one, or several to compare.
        pictures: contact sheets beside the page, by title.
    """
    names = list(results)
    lines = [_heading(1, content.title), "", "## Headline", ""]
    lines += metrics_in_markdown(metric_rows(results, headline_ids(results)), names)
    for sweep in content.sweeps:
        title = f"{sweep.title} (guidance downwards, temperature to the right)"
        lines += [_heading(2, title), "", *_sweep(sweep)]
    for forest in forests(content.shapeseval):
        lines += [_heading(2, f"ShapesEval: {forest.title.lower()}"), "", *_baselines(forest)]
    for forest in content.slices:
        lines += [_heading(2, forest.title), "", *_slices(forest, names)]
    for one in (*failures(content.shapeseval), *content.failures):
        lines += _failures(one, names)
    for title, path in pictures.items():
        lines += [_heading(2, title), "", f"![{_text(title)}]({path.parent.name}/{path.name})", ""]
    for grid in content.grids:
        lines += [f"{_text(grid.title)}: {_text(grid.note)}", "", *_captions(grid), ""]
    lines += _training(content.history)
    lines += ["## All metrics", "", *metrics_in_markdown(metric_rows(results), names)]
    for name, result in results.items():
        for title, table in result.tables.items():
            lines += [_heading(2, heading_of(title) + (f", {name}" if len(names) > 1 else "")), ""]
            lines += _aligned(table)
    if caveats := all_caveats(results, content):
        lines += ["## Caveats", "", *[f"- {_text(caveat)}" for caveat in caveats], ""]
    lines += ["## Provenance", ""]
    facts = provenance_facts(results)
    rows = [(name, *(str(value) for value in values)) for name, values in facts.items()]
    lines += _table(("", *(names if len(names) > 1 else ("",))), rows)
    return "\n".join(lines)


def metrics_in_markdown(rows: Sequence[MetricRow], names: Sequence[str]) -> list[str]:
    """A table of numbers, with the paper's in a column that says whose they are."""
    with_paper = any(row.paper for row in rows)
    columns = ["metric", *(names if len(names) > 1 else ("value", "95 % interval", "n")), "better", "id"]
    columns += ["from the paper, not measured here"] if with_paper else []
    lines = []
    for row in rows:
        cells: list[str] = [row.label + (" (stand-in)" if row.is_stand_in else "")]
        for cell in row.cells:
            if len(names) > 1:
                cells.append(_with_interval(cell.metric) if cell else "")
            elif cell:
                cells += [format_value(cell.metric), format_interval(cell.metric), str(cell.metric.n)]
        cells += [row.direction, f"`{row.id}`", *(["; ".join(row.paper)] if with_paper else [])]
        lines.append(cells)
    return _table(columns, lines)


def _baselines(forest: Forest) -> list[str]:
    rows = []
    for row in forest.rows:
        by_kind = {mark.kind: f"{mark.value:.2f}" for mark in row.marks}
        bar = row.bars[0]
        rows.append(
            (row.label, bar.score, bar.interval, *(by_kind.get(kind, "") for kind in _KINDS), bar.count)
        )
    return _table(("", "score", "95 % interval", *_KINDS.values(), "images"), rows)


def _slices(forest: Forest, names: Sequence[str]) -> list[str]:
    rows = []
    for row in forest.rows:
        by_run = {bar.run: f"{bar.score} ({bar.interval})" for bar in row.bars}
        count = ", ".join(dict.fromkeys(bar.count for bar in row.bars))
        rows.append((row.label, *(by_run.get(number, "") for number in range(len(names))), count))
    return _table(("", *(names if len(names) > 1 else ("score",)), "images"), rows)


def _sweep(sweep: Sweep) -> list[str]:
    rows = [
        (name, *(_with_interval(metric) if metric else "" for metric in row))
        for name, row in zip(sweep.rows, sweep.cells, strict=True)
    ]
    return _table(("", *sweep.columns), rows)


def _failures(one: Failures, names: Sequence[str]) -> list[str]:
    columns = names if len(one.num_images) > 1 else ("share of images",)
    rows = [
        (
            kind,
            *(
                f"{100 * count / max(num, 1):.0f} %"
                for count, num in zip(counts, one.num_images, strict=True)
            ),
        )
        for kind, counts in one.kinds
    ]
    return [
        f"Failures: {one.title}" + ("" if rows else ": none."),
        "",
        *(_table(("", *columns), rows) if rows else ()),
    ]


def _captions(grid: Grid) -> list[str]:
    lines = []
    for number, tile in enumerate(grid.tiles, start=1):
        verdict = {True: " (right)", False: f" (wrong: {tile.note})", None: ""}[tile.correct]
        if tile.correct is None and tile.note:
            verdict = f" ({tile.note})"
        run = f"{tile.run}: " if tile.run else ""
        lines.append(f"{number}. {_text(run + tile.caption + verdict)}")
    return lines


def _with_interval(metric: MetricValue) -> str:
    return format_value(metric) + (f" ({format_interval(metric)})" if metric.ci95 else "")


def _training(history: History) -> list[str]:
    panels = [panel for panel in history_panels(history) if panel.is_main]
    rows = [
        (panel.title, one.label, str(one.points[-1][0]), one.last) for panel in panels for one in panel.series
    ]
    table = _table(("quantity", "curve", "last step", "value there"), rows)
    return ["## Training", "", *table] if rows else []


def _aligned(table: Table) -> list[str]:
    columns = [format_column(column) for column in zip(*table.rows, strict=True)]
    return _table(table.columns, list(zip(*columns, strict=True)))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [_line(columns), "|" + "---|" * len(columns), *map(_line, rows)]
    return [*lines, ""]


def _line(cells: Sequence[str]) -> str:
    """Cells in one line; what would end a cell is escaped."""
    return "| " + " | ".join(_text(cell).replace("|", "\\|") for cell in cells) + " |"


def _heading(level: int, text: str) -> str:
    return f"{'#' * level} {_text(text)}"


def _text(text: str) -> str:
    """In one line, and no tag of HTML."""
    return " ".join(text.replace("<", "&lt;").split())
