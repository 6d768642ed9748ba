"""Reports: ``report.md`` and a self-contained ``report.html`` about evaluated runs, one or several."""

from __future__ import annotations

from evaluation.reports.compose import content_of
from evaluation.reports.content import Grid, ReportContent, Strip, Tile
from evaluation.reports.grids import sample_grids
from evaluation.reports.history import load_histories, load_history
from evaluation.reports.runs import EvaluatedRun, load_runs
from evaluation.reports.write import write_report

__all__ = [
    "EvaluatedRun",
    "Grid",
    "ReportContent",
    "Strip",
    "Tile",
    "content_of",
    "load_histories",
    "load_history",
    "load_runs",
    "sample_grids",
    "write_report",
]
