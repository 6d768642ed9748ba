"""A user's existing shards as a data set: an index that points to where they lie; nothing is rewritten."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.engines import Engine
from datamodules.holdout import VAL_FRACTION, check_val_fraction
from datamodules.index import ShardIndex, scan_shard
from datamodules.index_files import HEADER
from datamodules.indexing import Progress, divided, find_shards, index_shards
from datamodules.listing import file_sizes
from datamodules.packing import begin_dataset, finish_dataset

__all__ = ["index_user_shards", "tell_shards"]


def index_user_shards(
    place: str,
    out: Path,
    val_fraction: float | None,
    *,
    max_left_out: float,
    engine: Engine,
    progress: Progress,
) -> dict[str, Any]:
    """Write the index of every split into `out` and return what ``dataset.json`` says.

    Args:
        place: folder or URL of shards, or of one subfolder of them per split, or a pattern for shards.
        val_fraction: share of ``val``; 0 for all in ``train``. By default 0.02, or the splits that the
            subfolders are.
    """
    splits, val_fraction = _splits(place, str(out), val_fraction)
    description = {
        "name": Path(place).name,
        "kind": "shards",
        "val_fraction": val_fraction,
        "shards": _fingerprint([shard for shards in splits.values() for shard in shards]),
    }
    begun = begin_dataset(out, description)
    if begun["complete"]:
        return begun
    left_out: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    for target, shards in splits.items():
        parts = divided(target, val_fraction)
        if not all((Path(part) / HEADER).exists() for part in parts):  # by an earlier run
            index_shards(shards, parts, engine=engine, progress=progress)
        indices = {Path(part).name: ShardIndex.load(part) for part in parts}
        counts |= {split: len(index) for split, index in indices.items()}
        first, index = next(iter(indices.items()))  # every part knows all that were left out
        left_out[first] = [": ".join(item) for item in index.left_out]
    return finish_dataset(out, begun, counts, left_out, max_left_out)


def tell_shards(place: str, val_fraction: float | None) -> str:
    """The splits with their shards, and what is in the first of each; nothing is written."""
    lines = []
    splits, val_fraction = _splits(place, "OUT", val_fraction)
    for target, shards in splits.items():
        num_bytes = sum(filter(None, file_sizes(shards)))
        scan = scan_shard(shards[0])
        split = f"train and val ({val_fraction:.3g} of it)" if val_fraction else Path(target).name
        lines.append(f"{split}: {len(shards)} shards, {num_bytes / 1e6:.3g} MB")
        sizes = [f"{w}x{h}" for w, h in zip(scan.widths[:3].tolist(), scan.heights[:3].tolist(), strict=True)]
        lines.append(f"  {shards[0]} has {len(scan.rows)} samples, the first of {', '.join(sizes)}")
        if scan.left_out:
            key, cause = scan.left_out[0]
            lines.append(f"  {len(scan.left_out)} of its samples are unusable: {key}: {cause}")
    return "\n".join(lines)


def _splits(place: str, out: str, val_fraction: float | None) -> tuple[dict[str, list[str]], float]:
    """The shards by the folder of their index, and the share of them to hold out."""
    found = find_shards(place, out)
    if list(found) != [out]:
        if val_fraction:
            raise ValueError(f"val_fraction divides one folder of shards, but {place} has one per split")
        return found, 0.0
    val_fraction = VAL_FRACTION if val_fraction is None else val_fraction
    check_val_fraction(val_fraction)
    return {out if val_fraction else f"{out}/train": found[out]}, val_fraction


def _fingerprint(shards: Sequence[str]) -> str:
    sizes = zip(shards, file_sizes(shards), strict=True)
    words = "\n".join(f"{shard.rpartition('/')[2]} {size}" for shard, size in sizes)
    return hashlib.sha256(words.encode()).hexdigest()[:16]
