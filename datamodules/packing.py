"""A data set directory: ``<split>/*.tar`` with an index each, and ``dataset.json``: what it is made of.

Packing can be interrupted and called again: complete shards and splits are kept. A directory made from
another description is refused, never overwritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datamodules.damage import naming_damage
from datamodules.engines import Engine, Processes
from datamodules.index import ShardIndex
from datamodules.indexing import SCANS, Progress, index_shards, silent
from datamodules.shards import SampleSource, left_out_of, write_shards
from infinity.atomic import remove, write_atomically

__all__ = [
    "DatasetParts",
    "Progress",
    "begin_dataset",
    "finish_dataset",
    "pack_dataset",
]


class DatasetParts(NamedTuple):
    """What a data set is made of.

    Args:
        description: everything that the contents depend on; its hash is the data set's fingerprint.
        splits: the samples.
        files: further text files of the directory, by name.
    """

    description: Mapping[str, Any]
    splits: Mapping[str, SampleSource]
    files: Mapping[str, str]


def pack_dataset(
    root: Path,
    parts: DatasetParts,
    *,
    samples_per_shard: int = 2000,
    max_left_out: float = 0.1,
    num_workers: int = 1,
    engine: Engine | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the splits into `root` and return what ``dataset.json`` says.

    Args:
        max_left_out: largest share of all samples that may be unusable.
        engine: where shards are written and scanned; `num_workers` processes if not given.
    """
    if samples_per_shard < 1:
        raise ValueError(f"samples_per_shard must be at least 1, got {samples_per_shard}")
    engine = engine or Processes(num_workers)
    begun = begin_dataset(root, {**parts.description, "samples_per_shard": samples_per_shard})
    if begun["complete"]:
        return begun
    for name, text in parts.files.items():
        write_atomically(root / name, text)
    left_out: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for split, source in parts.splits.items():
        directory = root / split
        total = len(source)
        write_shards(
            source,
            directory,
            samples_per_shard=samples_per_shard,
            engine=engine,
            on_samples=lambda done, what=split, total=total: progress(f"pack {what}", done, total),
        )
        if not (directory / "index.json").exists():
            shards = sorted(directory.glob("*.tar"))
            index_shards(shards, {str(directory): None}, engine=engine, progress=progress)
        index = ShardIndex.load(directory)
        left_out[split] = [*left_out_of(directory), *map(": ".join, index.left_out)]
        counts[split] = len(index)
    return finish_dataset(root, begun, counts, left_out, max_left_out)


def begin_dataset(root: Path, description: Mapping[str, Any]) -> dict[str, Any]:
    """What ``dataset.json`` says of a data set that is begun, goes on, or is complete.

    A folder that holds anything else is refused.
    """
    description = json.loads(json.dumps(description))
    fingerprint = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:16]
    manifest = root / "dataset.json"
    found = _started(root, manifest, description, fingerprint)
    if found.get("complete"):
        return found
    root.mkdir(parents=True, exist_ok=True)
    begun = {**description, "fingerprint": fingerprint, "complete": False}
    write_atomically(manifest, _dumps(begun))
    return begun


def finish_dataset(
    root: Path,
    begun: dict[str, Any],
    counts: dict[str, int],
    left_out: dict[str, list[str]],
    max_left_out: float,
) -> dict[str, Any]:
    """Mark a data set as complete, unless too large a share of its samples is unusable."""
    causes = [cause for of_split in left_out.values() for cause in of_split]
    total = sum(counts.values()) + len(causes)
    if len(causes) > max_left_out * total:
        raise ValueError(
            f"{len(causes)} of {total} samples are unusable, more than the allowed share of {max_left_out}: "
            f"{'; '.join(causes[:3])}; allow more (max_left_out), or mend them and choose another directory"
        )
    for leftover in (*root.rglob(".*.tmp"), *root.rglob(SCANS)):  # of runs that were killed
        remove(leftover)
    result = {**begun, "complete": True, "counts": counts, "left_out": left_out}
    write_atomically(root / "dataset.json", _dumps(result))
    return result


def _started(root: Path, manifest: Path, description: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    if not manifest.exists():
        # a run may have been killed in the middle of writing it
        if root.exists() and any(not path.match(".dataset.json.*.tmp") for path in root.iterdir()):
            raise ValueError(f"{root} is not empty and holds no data set of ours; choose another directory")
        return {}
    with naming_damage(manifest, "choose another directory, or remove that one yourself"):
        found = dict(json.loads(manifest.read_text("utf-8")))
    if found.get("fingerprint") != fingerprint:
        changed = sorted(key for key in description if found.get(key) != description[key])
        if changed == ["shards"] and not any(root.glob("*/index.json")):
            return {}  # foreign shards were fetched again before any was taken up: their scans stay of use
        listed = ", ".join(f"{key}: {found.get(key)} there, {description[key]} asked for" for key in changed)
        raise ValueError(
            f"{root} holds another data set ({listed}); choose another directory or remove that one yourself"
        )
    return found


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
