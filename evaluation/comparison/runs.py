"""Two evaluated runs, and whether they measured the same thing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evaluation.results import MetricValue, Result, read_samples
from evaluation.tasks.registry import TASKS

__all__ = ["EvaluatedRun", "common_metrics", "differing_settings", "refuse_other_inputs"]

_NUM_NAMED = 4
_NO_SETTINGS = ("batch_size", "caveats", "failed_images", "history", "output", "tasks", "title")


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """A directory with ``result.json`` and, for comparisons image by image, ``samples.jsonl``."""

    name: str
    result: Result
    rows: tuple[Mapping[str, Any], ...]

    @classmethod
    def load(cls, directory: str | Path, name: str = "") -> EvaluatedRun:
        result = Result.load(directory)
        return cls(name=name or result.name, result=result, rows=tuple(read_samples(directory)))

    @cached_property
    def prompts(self) -> dict[str, dict[str, str]]:
        """Texts by prompt id, by prompt set; as measured, so without rewriting."""
        found: dict[str, dict[str, str]] = {}
        for row in self.rows:
            texts = found.setdefault(row.get("prompt_set", "prompts"), {})
            texts[str(row["prompt_id"])] = prompt_text(row)
        return found

    def prompts_sha256(self, prompt_set: str) -> str:
        """Hash of the ids and texts of a prompt set, in any order."""
        return hashlib.sha256(json.dumps(sorted(self.prompts[prompt_set].items())).encode()).hexdigest()


def prompt_text(row: Mapping[str, Any]) -> str:
    """What an image of ``samples.jsonl`` was asked to show."""
    return str(row.get("prompt") or row.get("metadata", {}).get("prompt") or row["prompt_id"])


def common_metrics(
    first: EvaluatedRun, second: EvaluatedRun, only: Sequence[str] = ()
) -> tuple[list[tuple[MetricValue, MetricValue]], list[str]]:
    """Pairs of one metric in both runs, and where each id is that one run alone has.

    Such ids are an error, but where one of `only` names others that both runs have.

    Args:
        only: ids, or their beginnings up to ``[`` or ``/``; all metrics if there is none.
    """

    def chosen(run: EvaluatedRun) -> dict[str, MetricValue]:
        return {one.id: one for one in run.result.metrics if not only or any(_names(o, one.id) for o in only)}

    a, b = chosen(first), chosen(second)
    for name in only:
        if not any(_names(name, metric_id) for metric_id in [*a, *b]):
            known = ", ".join(dict.fromkeys(one.id for one in first.result.metrics))
            raise ValueError(f"neither run has a metric {name!r} (--only); {first.name} has {known}")
    shared = [metric_id for metric_id in a if metric_id in b]
    lone = [f"{metric_id} (in {first.name} alone)" for metric_id in a if metric_id not in b]
    lone += [f"{metric_id} (in {second.name} alone)" for metric_id in b if metric_id not in a]
    is_chosen = only and all(any(_names(name, metric_id) for metric_id in shared) for name in only)
    if lone and not is_chosen:
        raise ValueError(
            f"{len(lone)} metric ids are in one run alone and do not compare: "
            f"{', '.join(lone[:_NUM_NAMED])}{', ..' if len(lone) > _NUM_NAMED else ''}; measure both runs "
            "alike, or name metrics that both have with --only"
        )
    return [(a[metric_id], b[metric_id]) for metric_id in shared], lone


def refuse_other_inputs(first: EvaluatedRun, second: EvaluatedRun, *, partly: bool) -> None:
    """Refuse runs on other prompts, other reference data, or by other weights of a scorer.

    Args:
        partly: whether one run may have prompt sets that the other lacks.
    """
    _refuse_other_prompts(first, second, partly)
    a, b = first.result.provenance, second.result.provenance
    if a.data and b.data and sorted(a.data.values()) != sorted(b.data.values()):
        raise ValueError(
            f"references differ: {first.name} was measured on {_hashes(a.data)} and {second.name} on "
            f"{_hashes(b.data)}; measure both on the same data"
        )
    scorers = {weight.name for entry in TASKS.values() for weight in entry.weights}
    for name in sorted(scorers & a.checkpoints.keys() & b.checkpoints.keys()):
        if a.checkpoints[name] != b.checkpoints[name]:
            raise ValueError(
                f"weights of the scorer {name} differ: sha256 {a.checkpoints[name][:12]} in {first.name} and "
                f"{b.checkpoints[name][:12]} in {second.name}; score both with the same file"
            )


def differing_settings(first: EvaluatedRun, second: EvaluatedRun) -> dict[str, tuple[Any, Any]]:
    """What else tells runs apart: settings by dotted name, code, seeds, checkpoints, versions, machine."""
    a, b = ({**_flat(run.result.config), **_origin(run)} for run in (first, second))
    return {
        name: (a.get(name), b.get(name))
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name) and name.split(".")[0] not in _NO_SETTINGS
    }


def _names(name: str, metric_id: str) -> bool:
    return metric_id == name or (metric_id.startswith(name) and metric_id[len(name)] in "[/")


def _refuse_other_prompts(first: EvaluatedRun, second: EvaluatedRun, partly: bool) -> None:
    for prompt_set in dict.fromkeys([*first.prompts, *second.prompts]):
        lacking = [run for run in (first, second) if prompt_set not in run.prompts]
        if lacking and not partly:
            raise ValueError(
                f"{lacking[0].name} has no images of the prompt set {prompt_set}, which the other run has; "
                "measure both runs alike, or name metrics that both have with --only"
            )
        if lacking or first.prompts_sha256(prompt_set) == second.prompts_sha256(prompt_set):
            continue
        a, b = first.prompts[prompt_set], second.prompts[prompt_set]
        other = [one for one in dict.fromkeys([*a, *b]) if a.get(one) != b.get(one)]
        raise ValueError(
            f"prompts of {prompt_set} differ (sha256 {first.prompts_sha256(prompt_set)[:12]} of {len(a)} in "
            f"{first.name} and {second.prompts_sha256(prompt_set)[:12]} of {len(b)} in {second.name}), e.g. "
            f"{', '.join(other[:_NUM_NAMED])}; draw both runs from the same prompts"
        )


def _hashes(data: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({digest[:12]})" for name, digest in data.items())


def _origin(run: EvaluatedRun) -> dict[str, Any]:
    provenance = run.result.provenance
    changes = {True: " with changes", False: "", None: ""}[provenance.git_dirty]
    return {
        "code": provenance.short_sha + changes,
        **{f"seed of {name}": seed for name, seed in provenance.seeds.items()},
        **{f"sha256 of {name}": digest[:12] for name, digest in provenance.checkpoints.items()},
        **{f"version of {name}": version for name, version in provenance.versions.items()},
        **{f"hardware.{name}": value for name, value in provenance.hardware.items()},
    }


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(config, Mapping):
        return {prefix: config}
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _flat(value, f"{prefix}.{name}" if prefix else str(name))
    return found
