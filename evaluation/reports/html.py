"""Render ``report.html``: one file, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from evaluation.reports.content import ReportContent, Sweep
from evaluation.reports.facts import all_caveats, provenance_facts
from evaluation.reports.figures import COLORS, history_panels
from evaluation.reports.labels import ARROWS, format_column, format_interval, format_value, heading_of
from evaluation.reports.rows import headline_ids, metric_rows
from evaluation.reports.scores import failures, forests
from evaluation.results import MetricValue, Result, Table

__all__ = ["data_uri", "render_html", "shade"]

_LARGEST = 256  # pixels; a page stays small whatever the images are


def render_html(results: Mapping[str, Result], content: ReportContent) -> str:
    """The page as text.

    Args:
        results: by name of the run; one, or several to compare.
    """
    environment = Environment(
        loader=PackageLoader("evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "uri": data_uri,
        "value": format_value,
        "interval": format_interval,
        "columns": _columns,
        "heading": heading_of,
        "svg": Markup,
        "color": lambda number: COLORS[number % len(COLORS)],
        "shaded": _shaded,
        "pretty": lambda data: json.dumps(data, indent=2, default=str, sort_keys=True),
    }
    environment.globals["arrows"] = ARROWS
    return environment.get_template("report.html.j2").render(
        results=results,
        content=content,
        headline=metric_rows(results, headline_ids(results)),
        numbers=metric_rows(results),
        forests=forests(content.shapeseval),
        arms=[arm for arm in content.shapeseval if arm != "samples"],
        failures=[*failures(content.shapeseval), *content.failures],
        panels=history_panels(content.history),
        caveats=all_caveats(results, content),
        facts=provenance_facts(results),
    )


def data_uri(image_HW3: np.ndarray) -> str:
    """A picture inside the page: a PNG as it is, or a smaller WEBP of a large one."""
    image, buffer = Image.fromarray(image_HW3), io.BytesIO()
    kind = "png" if max(image.size) <= _LARGEST // 2 else "webp"
    image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    image.save(buffer, kind, **({"optimize": True} if kind == "png" else {"quality": 85}))
    return f"data:image/{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def shade(metric: MetricValue, others: Sequence[MetricValue]) -> float:
    """How good a value is among others: 0 for the worst, 1 for the best."""
    values = [one.value for one in others]
    low, high = min(values), max(values)
    share = (metric.value - low) / (high - low) if high > low else 0.5
    return 1 - share if metric.direction == "lower" else share


def _shaded(sweep: Sweep) -> Iterator[tuple[str, list[tuple[MetricValue | None, float]]]]:
    everything = [metric for row in sweep.cells for metric in row if metric]
    for name, row in zip(sweep.rows, sweep.cells, strict=True):
        yield name, [(metric, shade(metric, everything) if metric else 0.0) for metric in row]


def _columns(table: Table) -> list[tuple[str, bool, list[str]]]:
    """Name, whether it is of numbers, and cells as text."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    return [
        (name, any(isinstance(cell, int | float) for cell in cells), format_column(cells))
        for name, cells in zip(table.columns, columns, strict=True)
    ]
