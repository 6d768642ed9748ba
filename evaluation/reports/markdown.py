"""Render ``report.md``: the same numbers for a terminal or a code host, with pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.reports.content import ReportContent
from evaluation.reports.facts import all_caveats, provenance_facts
from evaluation.reports.labels import format_cell, format_interval, format_value, label_of, words
from evaluation.reports.scores import failures, forests
from evaluation.results import Result

__all__ = ["render_markdown", "write_pictures"]

_GAP = 4


def render_markdown(result: Result, content: ReportContent, pictures: Mapping[str, Path]) -> str:
    """The page as text; `pictures` come from :func:`write_pictures`."""
    lines = [f"# {content.title}", ""]
    if content.summary:
        lines += [content.summary, ""]
    for forest in forests(content.shapeseval):
        lines += [f"## ShapesEval: {forest.title.lower()}", ""]
        rows = [
            (row.label, row.score, row.interval, *[_mark(row.marks, kind) for kind in _KINDS], row.count)
            for row in forest.rows
        ]
        lines += _table(("", "score", "95 % interval", *_KINDS.values(), "images"), rows)
    model = content.shapeseval.get("samples")
    for split in model.splits if model else ():
        counts = (
            ", ".join(f"{one.label} {one.share:.0f} %" for one in failures(model, split)) if model else ""
        )
        lines += [f"Failures ({split}, share of images): {counts or 'none'}.", ""]
    for title, path in pictures.items():
        lines += [f"## {title}", "", f"![{title}]({path.parent.name}/{path.name})", ""]
    for grid in content.grids:
        lines += [f"{grid.title}: {grid.note}", ""]
        for number, tile in enumerate(grid.tiles, start=1):
            verdict = {True: " (right)", False: f" (wrong: {tile.note})", None: ""}[tile.correct]
            lines.append(f"{number}. {tile.caption}{verdict}")
        lines.append("")
    lines += ["## All metrics", ""]
    rows = [
        (label_of(m), format_value(m), format_interval(m), m.direction, str(m.n), f"`{m.id}`")
        for m in result.metrics
    ]
    lines += _table(("metric", "value", "95 % interval", "better", "n", "id"), rows)
    for name, table in result.tables.items():
        lines += [f"## {words(name).capitalize()}", ""]
        lines += _table(table.columns, [[format_cell(cell) for cell in row] for row in table.rows])
    if content.paper:
        lines += ["## From the paper (not measured here)", ""]
        lines += _table(("", "paper", "where"), [(one.name, one.value, one.source) for one in content.paper])
    if caveats := all_caveats(result, content):
        lines += ["## Caveats", "", *[f"- {caveat}" for caveat in caveats], ""]
    lines += ["## Provenance", ""]
    lines += _table(("", ""), [(name, str(value)) for name, value in provenance_facts(result).items()])
    return "\n".join(lines)


def write_pictures(folder: Path, content: ReportContent) -> dict[str, Path]:
    """Contact sheets of reconstructions, samples and strips: paths by title."""
    sheets: dict[str, np.ndarray] = {}
    if content.reconstructions:
        originals, others = zip(*content.reconstructions, strict=True)
        sheets["Originals (above) and reconstructions"] = _sheet([originals, others])
    for grid in content.grids:
        images = [tile.image for tile in grid.tiles]
        sheets[f"Samples: {grid.title.lower()}"] = _sheet(
            [images[i : i + 6] for i in range(0, len(images), 6)]
        )
    if content.strips:
        sheets["Coarse to fine"] = _sheet([strip.images for strip in content.strips])
    paths = {}
    for title, sheet in sheets.items():
        name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
        paths[title] = folder / f"{'-'.join(filter(None, name.split('-')))}.png"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(paths[title])
    return paths


_KINDS = {"ceiling": "ceiling", "truth": "ground truth", "chance": "shuffled prompts"}


def _mark(marks: Sequence[tuple[str, float, str]], kind: str) -> str:
    return next((f"{place / 100:.2f}" for name, place, _ in marks if name == kind), "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [*lines, ""]


def _sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of images on white; small images are enlarged to be seen."""
    height = max(image.shape[0] for row in rows for image in row)
    width = max(image.shape[1] for row in rows for image in row)
    zoom = max(1, 128 // max(height, width))
    cell_h, cell_w = height * zoom + _GAP, width * zoom + _GAP
    columns = max(len(row) for row in rows)
    sheet = np.full((cell_h * len(rows) + _GAP, cell_w * columns + _GAP, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            large = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
            top, left = _GAP + y * cell_h, _GAP + x * cell_w
            sheet[top : top + large.shape[0], left : left + large.shape[1]] = large
    return sheet
