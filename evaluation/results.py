"""What an evaluation leaves behind: a typed, schema-versioned ``result.json``, and ``samples.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from evaluation.provenance import Provenance, merge_provenance
from infinity.atomic import write_atomically
from infinity.json_files import expecting, read_json, read_json_lines

__all__ = [
    "SCHEMA_VERSION",
    "Direction",
    "MetricValue",
    "Result",
    "Table",
    "merge_results",
    "read_samples",
    "write_samples",
]

SCHEMA_VERSION = 1
Direction = Literal["higher", "lower", "none"]


@dataclass(frozen=True, kw_only=True)
class MetricValue:
    """One number.

    Args:
        id: name with every knob that changes the number, e.g. ``rfrechet[effnet-lite0@128,64px,N=1000]``.
        direction: which way is better; "none" for descriptions.
        n: images (or other items) behind it.
        ci95: interval, where one can be given.
        note: one sentence a reader must know, e.g. that this is a stand-in.
    """

    id: str
    value: float
    direction: Direction
    n: int
    ci95: tuple[float, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.ci95 is not None:
            object.__setattr__(self, "ci95", (float(self.ci95[0]), float(self.ci95[1])))


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table for the report; cells are text or numbers."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"every row of the table needs {len(self.columns)} cells: {self.columns}")


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything that was measured in one evaluation."""

    name: str
    metrics: tuple[MetricValue, ...]
    provenance: Provenance
    config: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Table] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "metrics", tuple(self.metrics))
        ids = [metric.id for metric in self.metrics]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            raise ValueError(f"metric ids must be unique within a result, got twice: {', '.join(twice)}")

    def __getitem__(self, metric_id: str) -> MetricValue:
        for metric in self.metrics:
            if metric.id == metric_id:
                return metric
        raise KeyError(f"no metric {metric_id}; there are {', '.join(metric.id for metric in self.metrics)}")

    def to_dict(self) -> dict[str, Any]:
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Result:
        version = fields.get("schema_version")
        if version != SCHEMA_VERSION:
            raise ValueError(f"expected schema_version {SCHEMA_VERSION}, got {version}; evaluate again")
        return cls(
            name=_text(fields["name"]),
            metrics=tuple(_read_metric(metric) for metric in fields["metrics"]),
            provenance=Provenance(**fields["provenance"]),
            config=dict(fields["config"]),
            tables={name: Table(**table) for name, table in fields["tables"].items()},
        )

    def save(self, directory: str | Path) -> Path:
        """Write ``result.json``, atomically."""
        path = Path(directory) / "result.json"
        write_atomically(path, json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")
        return path

    @classmethod
    def load(cls, directory: str | Path) -> Result:
        path = Path(directory) / "result.json"
        if not path.is_file():
            raise ValueError(f"no result.json in {directory}; evaluate with --output {directory} first")
        with expecting("result of an evaluation", path):
            return cls.from_dict(read_json(path))


def _read_metric(fields: Mapping[str, Any]) -> MetricValue:
    metric = MetricValue(**fields)
    _text(metric.id + metric.note)
    if metric.direction not in get_args(Direction) or not isinstance(metric.n + metric.value, int | float):
        raise TypeError(
            f"{metric.id} has the value {metric.value}, direction {metric.direction}, n {metric.n}"
        )
    return metric


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value}")
    return value


def write_samples(directory: str | Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write ``samples.jsonl``: one row per image, with its verdict and the reason."""
    path = Path(directory) / "samples.jsonl"
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_samples(directory: str | Path) -> list[dict[str, Any]]:
    """Rows of ``samples.jsonl``; none if there is no such file."""
    path = Path(directory) / "samples.jsonl"
    rows = read_json_lines(path) if path.is_file() else []
    if not all(isinstance(row, dict) and "prompt_id" in row for row in rows):
        raise ValueError(f"{path} holds no rows about images, each with its prompt_id; evaluate again")
    return rows


def merge_results(results: Sequence[Result]) -> Result:
    """One result of several that measured different things about one model."""
    if len(results) == 1:
        return results[0]
    _refuse_repeats("results", [result.name for result in results])
    _refuse_repeats("tables", [name for result in results for name in result.tables])
    return Result(
        name=" + ".join(result.name for result in results),
        metrics=tuple(metric for result in results for metric in result.metrics),
        provenance=merge_provenance([result.provenance for result in results]),
        config={result.name: result.config for result in results},
        tables={name: table for result in results for name, table in result.tables.items()},
    )


def _refuse_repeats(kind: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{kind} to merge need different names, got twice: {', '.join(twice)}")
