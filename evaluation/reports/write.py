"""Write a report directory: ``result.json``, ``report.html``, ``report.md`` and its pictures."""

from __future__ import annotations

from pathlib import Path

from evaluation.reports.content import ReportContent
from evaluation.reports.html import render_html
from evaluation.reports.markdown import render_markdown, write_pictures
from evaluation.results import Result, write_atomically, write_samples

__all__ = ["write_report"]


def write_report(output_dir: str | Path, result: Result, content: ReportContent) -> Path:
    """Write everything and return the path of ``report.html``.

    ``result.json`` goes first when there is an older report and comes last: where it is, all of the directory
    belongs together.
    """
    output = Path(output_dir)
    page = render_html(result, content)
    (output / "result.json").unlink(missing_ok=True)
    if content.shapeseval:
        write_samples(output, [row for arm in content.shapeseval.values() for row in arm.rows()])
    else:
        (output / "samples.jsonl").unlink(missing_ok=True)
    pictures = write_pictures(output / "images", content)
    write_atomically(output / "report.md", render_markdown(result, content, pictures))
    write_atomically(output / "report.html", page)
    result.save(output)
    return output / "report.html"
