"""The splits of a data set directory, and indices over some of their samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datamodules.index import ShardIndex, write_index

__all__ = ["dataset_splits", "write_subset"]


def dataset_splits(root: Path) -> dict[str, ShardIndex]:
    """The indices of a data set by split, train and val first; of a folder that has one itself, that one."""
    if not root.is_dir():
        raise ValueError(
            f"there is no data set at {root}; make one with `python -m datamodules prepare` or `pack`"
        )
    found = (
        [root]
        if (root / "index.json").exists()
        else sorted(path.parent for path in root.glob("*/index.json"))
    )
    if not found:
        raise ValueError(
            f"no index in {root} or its subfolders; make one with `python -m datamodules index {root}`"
        )
    names = {folder.resolve().name: folder for folder in found}
    first = [name for name in ("train", "val") if name in names]
    return {name: ShardIndex.load(names[name]) for name in (*first, *sorted(names.keys() - set(first)))}


def write_subset(index: ShardIndex, numbers: np.ndarray, directory: Path) -> None:
    """Write an index over the same shards with some of their samples (ascending numbers)."""
    borders = np.flatnonzero(np.diff(index.shards_of(numbers))) + 1
    write_index(directory, (index.part(samples) for samples in np.split(numbers, borders)))
