"""Reports: ``result.json``, ``report.md`` and a self-contained ``report.html`` from one result."""

from __future__ import annotations

from evaluation.reports.content import Grid, PaperNumber, ReportContent, Strip, Tile
from evaluation.reports.grids import sample_grids
from evaluation.reports.history import load_histories, load_history
from evaluation.reports.write import write_report

__all__ = [
    "Grid",
    "PaperNumber",
    "ReportContent",
    "Strip",
    "Tile",
    "load_histories",
    "load_history",
    "sample_grids",
    "write_report",
]
