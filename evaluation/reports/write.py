"""Write a report directory: ``result.json``, ``report.html``, ``report.md`` and its pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.reports.contact_sheets import write_pictures
from evaluation.reports.content import ReportContent
from evaluation.reports.html import render_html
from evaluation.reports.markdown import render_markdown
from evaluation.results import Result, write_samples
from infinity.atomic import write_atomically

__all__ = ["write_comparison", "write_report"]


def write_report(output_dir: str | Path, result: Result, content: ReportContent) -> Path:
    """Write everything and return the path of ``report.html``.

    ``result.json`` goes first when there is an older report and comes last: where it is, all of the directory
    belongs together.
    """
    output = Path(output_dir)
    results = {result.name: result}
    page = render_html(results, content)
    (output / "result.json").unlink(missing_ok=True)
    if content.shapeseval:
        write_samples(output, [row for arm in content.shapeseval.values() for row in arm.rows()])
    else:
        (output / "samples.jsonl").unlink(missing_ok=True)
    _write_pages(output, results, content, page)
    result.save(output)
    return output / "report.html"


def write_comparison(output_dir: str | Path, results: Mapping[str, Result], content: ReportContent) -> Path:
    """Write the pages about several runs, whose results stay where they are; the path of ``report.html``."""
    output = Path(output_dir)
    if (output / "result.json").exists():
        raise ValueError(
            f"{output} holds the result of a run, which pages about several would hide; choose another"
        )
    _write_pages(output, results, content, render_html(results, content))
    return output / "report.html"


def _write_pages(output: Path, results: Mapping[str, Result], content: ReportContent, page: str) -> None:
    pictures = write_pictures(output / "images", content)
    write_atomically(output / "report.md", render_markdown(results, content, pictures))
    write_atomically(output / "report.html", page)
