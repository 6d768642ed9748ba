"""What a task's score follows from, so that it need not be made again while all of that is the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from evaluation.provenance import Provenance, sha256_of
from evaluation.runner.selection import SelectedTask
from evaluation.shard_images import IMAGE_SUFFIXES
from evaluation.tasks.api import EvalContext, EvalSample
from infinity.json_files import read_json_object

__all__ = ["basis_of", "data_fingerprint", "data_state", "inputs_of"]

_SOURCES = Path(__file__).resolve().parents[2]
_MODEL = ("dtype", "resolution", "sampling", "text", "text_encoder", "tokenizer")  # of a drawing's config


def basis_of(samples: Sequence[EvalSample], record: Mapping[str, Any]) -> str:
    """Hash of the images that a task sees, or of the model where no image is drawn."""
    images = [(one.prompt.id, one.prompt.text, one.index, one.sha256) for one in samples]
    return _hash(images or [record["origin"], record["limit"], record["seed"], record["data"]])


def inputs_of(
    one: SelectedTask,
    samples: Sequence[EvalSample],
    context: EvalContext,
    record: Mapping[str, Any],
    provenance: Provenance,
    state: str,
) -> str:
    """Hash of everything that a score follows from: images, references, weights, settings, code.

    Args:
        provenance: of the score, with the hashes of the task's weights.
        state: of the data, see :func:`data_state`.
    """
    statistics = context.weights.given.get(f"{one.entry.options.get('features')}-statistics")
    inputs = {
        "task": [one.entry.target, dict(one.entry.options)],
        "basis": basis_of(samples, record),
        "metadata": [sample.prompt.metadata for sample in samples],
        "context": [context.limit, context.seed],
        "weights": dict(provenance.checkpoints),
        "statistics": None if statistics is None else sha256_of(statistics),
        "data": [dict(provenance.data), state] if "data" in one.entry.needs else [],
        "code": [_source_sha256(), dict(provenance.versions)],
    }
    if one.task.prompt_set is None:  # of the model itself, timings among them
        inputs["model"] = {name: record["config"].get(name) for name in _MODEL}
        inputs["with_model"] = context.pipeline is not None  # baselines do without, of more prompts
        inputs["machine"] = [dict(provenance.hardware), context.device, torch.get_num_threads()]
    return _hash(inputs)


def data_fingerprint(data: Path | None) -> dict[str, str]:
    """What a data set says it is, by its name; the hash of its files' names and sizes if it says nothing."""
    if data is None:
        return {}
    path = data / "dataset.json"
    told = read_json_object(path).get("fingerprint") if path.is_file() else None
    return {data.resolve().name: str(told or _of_files(data))}


def _of_files(data: Path) -> str:
    kinds = (".tar", *IMAGE_SUFFIXES)
    return _hash([(name, about.st_size) for name, about in _files(data) if name.lower().endswith(kinds)])


def _files(data: Path) -> list[tuple[str, os.stat_result]]:
    """All of a folder and of those that links in it lead to, as ``val`` may be one."""
    paths = [Path(folder, name) for folder, _, names in os.walk(data, followlinks=True) for name in names]
    return sorted((path.relative_to(data).as_posix(), path.stat()) for path in paths if path.is_file())


def data_state(data: Path | None) -> str:
    """Hash of the names, sizes and times of all files: other data may have the same fingerprint."""
    if data is None:
        return ""
    return _hash([(name, about.st_size, about.st_mtime_ns) for name, about in _files(data)])


@cache
def _source_sha256() -> str:
    """Hash of the code that scores and draws, wherever it is installed: any change may change a score."""
    files = [path for package in ("evaluation", "infinity") for path in (_SOURCES / package).rglob("*.py")]
    return _hash([(path.relative_to(_SOURCES).as_posix(), sha256_of(path)) for path in sorted(files)])


def _hash(values: Any) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
