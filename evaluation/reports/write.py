"""Write a report directory: ``result.json``, ``report.html``, ``report.md`` and its pictures."""

from __future__ import annotations

from pathlib import Path

from evaluation.reports.content import ReportContent
from evaluation.reports.html import render_html
from evaluation.reports.markdown import render_markdown, write_pictures
from evaluation.results import Result, write_samples

__all__ = ["write_report"]


def write_report(output_dir: str | Path, result: Result, content: ReportContent) -> Path:
    """Write everything and return the path of ``report.html``."""
    output = Path(output_dir)
    result.save(output)
    if content.shapeseval:
        write_samples(output, [row for arm in content.shapeseval.values() for row in arm.rows()])
    pictures = write_pictures(output / "images", content)
    (output / "report.md").write_text(render_markdown(result, content, pictures), encoding="utf-8")
    page = output / "report.html"
    page.write_text(render_html(result, content), encoding="utf-8")
    return page
