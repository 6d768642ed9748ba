"""``stats.html``: one file, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from datamodules.statistics.examples import Gallery
from datamodules.statistics.report import DatasetReport

__all__ = ["format_bytes", "format_count", "format_share", "render_page"]


def render_page(report: DatasetReport, plots: Mapping[str, bytes], galleries: Sequence[Gallery]) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("datamodules.statistics"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bytes": format_bytes,
        "count": format_count,
        "share": format_share,
        "thumbnail": _thumbnail_uri,
        "pretty": lambda data: json.dumps(data, indent=1, ensure_ascii=False),
    }
    return environment.get_template("stats.html.j2").render(
        report=report, plots={name: _uri(png) for name, png in plots.items()}, galleries=galleries
    )


def format_count(number: float) -> str:
    """1234567 as 1 234 567; small fractions to 3 digits."""
    return (
        f"{number:,.0f}".replace(",", "\u202f")
        if number == int(number) or number >= 1000
        else f"{number:.3g}"
    )


def format_share(share: float) -> str:
    """0.1234 as 12 %, small ones with more digits."""
    return f"{100 * share:.2g} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def format_bytes(number: float) -> str:
    """In the largest unit that leaves a number of at least 1."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} TiB"


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _thumbnail_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return _uri(buffer.getvalue())
