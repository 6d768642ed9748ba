"""Runs to report: what they left behind, under names that tell them apart."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from evaluation.reports.verdicts import Verdict, read_verdicts
from evaluation.results import Result, merge_results, read_samples
from infinity.json_files import expecting

__all__ = ["EvaluatedRun", "load_runs"]

_PARTS = ("vae", "transformer")


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """One model with one set of settings.

    Args:
        folders: where its rows come from, one for each of `rows`.
        rows: of ``samples.jsonl``.
    """

    name: str
    result: Result
    folders: tuple[Path, ...]
    rows: tuple[Sequence[Mapping[str, Any]], ...]

    @cached_property
    def verdicts(self) -> list[tuple[Path, Verdict]]:
        """All verdicts, with the folder of their images."""
        found: list[tuple[Path, Verdict]] = []
        for folder, rows in zip(self.folders, self.rows, strict=True):
            with expecting("list of judged images", folder / "samples.jsonl"):
                found += [(folder, verdict) for verdict in read_verdicts(rows)]
        return found

    @property
    def setting(self) -> dict[str, str]:
        """Guidance and temperature; lists, one value per scale, are written as one word."""
        config = self.result.config
        sampling = config.get("sampling") or {}
        given = {name: config.get(name, sampling.get(name)) for name in ("guidance", "temperature")}
        given = {name: sampling.get(name) if value is None else value for name, value in given.items()}
        return {name: _word(value) for name, value in given.items() if value is not None}


def load_runs(paths: Sequence[Path]) -> list[EvaluatedRun]:
    """One run of results that measure different things of a model; several if they measure the same."""
    results = [_load(path) for path in paths]
    rows = [tuple(read_samples(path)) for path in paths]
    names = _names(paths)
    if _are_one(results):
        merged = merge_results(_told_apart(results, names))
        return [EvaluatedRun(name=merged.name, result=merged, folders=tuple(paths), rows=tuple(rows))]
    return [
        EvaluatedRun(name=name, result=result, folders=(path,), rows=(own,))
        for name, result, path, own in zip(names, results, paths, rows, strict=True)
    ]


def _load(path: Path) -> Result:
    result = Result.load(path)
    ends = {metric.id: (metric.value, *(metric.ci95 or ())) for metric in result.metrics}
    if bad := [name for name, values in ends.items() if not all(map(math.isfinite, values))]:
        raise ValueError(f"{path} has no finite value for {', '.join(bad[:3])}; score it again")
    return result


def _are_one(results: Sequence[Result]) -> bool:
    """Whether they measure different things, of models that nothing tells apart."""
    ids = Counter(metric.id for result in results for metric in result.metrics)
    if max(ids.values(), default=1) > 1:
        return False
    checkpoints = [result.provenance.checkpoints for result in results]
    return all(len({one[part] for one in checkpoints if part in one}) < 2 for part in _PARTS)


def _told_apart(results: Sequence[Result], names: Sequence[str]) -> list[Result]:
    """With names of their own, for tables that several have, too."""
    if len(results) == 1:
        return list(results)
    tables = Counter(title for result in results for title in result.tables)
    return [
        replace(
            result,
            name=name,
            tables={
                title if tables[title] == 1 else f"{title}, {name}": table
                for title, table in result.tables.items()
            },
        )
        for result, name in zip(results, names, strict=True)
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """As many last parts of the paths as it takes to tell them apart."""
    parts = [path.resolve().parts for path in paths]
    if len(set(parts)) < len(parts):
        raise ValueError("a report needs different runs, got one of them twice; name each once")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(one[-length:]) for one in parts]
        if len(set(names)) == len(names):
            break
    return names


def _word(value: Any) -> str:
    values = value if isinstance(value, list | tuple) else [value]
    return ",".join(f"{one:g}" for one in values)
