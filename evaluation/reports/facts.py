"""Provenance and caveats as both pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.reports.content import ReportContent
from evaluation.results import Result

__all__ = ["all_caveats", "provenance_facts"]


def all_caveats(result: Result, content: ReportContent) -> list[str]:
    """The author's caveats, then the notes of metrics."""
    notes = [f"{metric.id}: {metric.note}" for metric in result.metrics if metric.note]
    return [*content.caveats, *notes]


def provenance_facts(result: Result) -> Mapping[str, Any]:
    """Provenance as names and values, the important ones first."""
    provenance = result.provenance
    dirty = {True: " with uncommitted changes", False: "", None: ""}[provenance.git_dirty]
    facts: dict[str, Any] = {"date": provenance.date, "code": provenance.git_sha + dirty}
    facts |= {f"seed of {name}": seed for name, seed in provenance.seeds.items()}
    facts |= {f"{name} (sha256)": digest for name, digest in provenance.checkpoints.items()}
    facts |= {f"data: {name}": fingerprint for name, fingerprint in provenance.data.items()}
    facts |= provenance.hardware
    return {**facts, **provenance.versions}
