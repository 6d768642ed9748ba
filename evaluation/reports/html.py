"""Render ``report.html``: one file, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from evaluation.reports.content import ReportContent
from evaluation.reports.facts import all_caveats, provenance_facts
from evaluation.reports.figures import history_panels
from evaluation.reports.labels import (
    default_headline,
    format_cell,
    format_interval,
    format_value,
    label_of,
    words,
)
from evaluation.reports.scores import failures, forests
from evaluation.results import Result

__all__ = ["data_uri", "render_html"]


def render_html(result: Result, content: ReportContent) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "uri": data_uri,
        "label": label_of,
        "value": format_value,
        "interval": format_interval,
        "cell": format_cell,
        "words": words,
        "svg": Markup,
        "pretty": lambda data: json.dumps(data, indent=2, default=str, sort_keys=True),
    }
    headline = content.headline or default_headline(result.metrics)
    model = content.shapeseval.get("samples")
    return environment.get_template("report.html.j2").render(
        result=result,
        content=content,
        headline=[result[metric_id] for metric_id in headline],
        forests=forests(content.shapeseval),
        arms=[arm for arm in content.shapeseval if arm != "samples"],
        failures={split: failures(model, split) for split in model.splits} if model else {},
        panels=history_panels(content.history),
        caveats=all_caveats(result, content),
        facts=provenance_facts(result),
    )


def data_uri(image_HW3: np.ndarray) -> str:
    """A picture as a PNG inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
