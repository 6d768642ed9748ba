"""Provenance and caveats as both pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from evaluation.reports.content import ReportContent
from evaluation.results import Result

__all__ = ["all_caveats", "configs_of", "provenance_facts"]


def configs_of(result: Result) -> list[Mapping[str, Any]]:
    """The configuration of a result; if it was merged, those of its parts."""
    names = result.name.split(" + ")
    parts = [part for name in names if isinstance(part := result.config.get(name), Mapping)]
    return parts if len(parts) == len(names) > 1 else [result.config]


def all_caveats(results: Mapping[str, Result], content: ReportContent) -> list[str]:
    """The author's caveats, those that runs have recorded, then the notes of metrics; each once.

    What some of several runs have recorded names them.
    """
    recorded: dict[str, list[str]] = {}
    for name, result in results.items():
        for caveat in dict.fromkeys(
            caveat for config in configs_of(result) for caveat in config.get("caveats", ())
        ):
            recorded.setdefault(caveat, []).append(name)
    said = [
        caveat if len(names) == len(results) else f"{', '.join(names)}: {caveat}"
        for caveat, names in recorded.items()
    ]
    return list(dict.fromkeys([*content.caveats, *said, *_notes(results)]))


def _notes(results: Mapping[str, Result]) -> Iterator[str]:
    """Notes of metrics; one that several parts of a metric share is said once."""
    parts: dict[str, dict[str, None]] = {}
    noted: dict[tuple[str, str], dict[str, None]] = {}
    for metric in (metric for result in results.values() for metric in result.metrics):
        name, end, part = metric.id.partition("]")
        parts.setdefault(name + end, {})[part.strip("/")] = None
        if metric.note:
            noted.setdefault((name + end, metric.note), {})[part.strip("/")] = None
    for (name, note), own in noted.items():
        which = "" if own.keys() == parts[name].keys() else f" ({', '.join(own)})"
        yield f"{name}{which}: {note}"


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
