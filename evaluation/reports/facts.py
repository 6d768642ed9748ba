"""Provenance and caveats as both pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.reports.content import ReportContent
from evaluation.results import Result

__all__ = ["all_caveats", "provenance_facts"]


def all_caveats(results: Mapping[str, Result], content: ReportContent) -> list[str]:
    """The author's caveats, those that runs have recorded, then the notes of metrics; each once."""
    runs = results.values()
    recorded = [caveat for one in runs for caveat in one.config.get("caveats", ())]
    failed = [f"{name}: {num} images failed." for name, one in results.items() if (num := _num_failed(one))]
    notes = [f"{metric.id}: {metric.note}" for one in runs for metric in one.metrics if metric.note]
    return list(dict.fromkeys([*content.caveats, *failed, *recorded, *notes]))


def provenance_facts(results: Mapping[str, Result]) -> dict[str, list[Any]]:
    """Provenance as names with a value per run, the important ones first."""
    of_runs = [_facts(result) for result in results.values()]
    names = dict.fromkeys(name for facts in of_runs for name in facts)
    return {name: [facts.get(name, "") for facts in of_runs] for name in names}


def _facts(result: Result) -> dict[str, Any]:
    provenance = result.provenance
    dirty = {True: " with uncommitted changes", False: "", None: ""}[provenance.git_dirty]
    facts: dict[str, Any] = {"date": provenance.date, "code": provenance.git_sha + dirty}
    facts |= {f"seed of {name}": seed for name, seed in provenance.seeds.items()}
    facts |= {f"{name} (sha256)": digest for name, digest in provenance.checkpoints.items()}
    facts |= {f"data: {name}": fingerprint for name, fingerprint in provenance.data.items()}
    facts |= provenance.hardware
    return {**facts, **provenance.versions}


def _num_failed(result: Result) -> int:
    return int(result.config.get("failed_images", 0))
