"""The splits of a data set, and indices over some of their samples."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from datamodules.index import ShardIndex, write_index
from datamodules.index_files import HEADER
from datamodules.listing import file_sizes, folders_in
from datamodules.storage import is_url, join, location_of

__all__ = ["dataset_splits", "write_subset"]

_USUAL = ("train", "val", "test")


def dataset_splits(place: str | Path) -> dict[str, ShardIndex]:
    """The indices of a data set, here or at a URL, by split, train and val first.

    Of a folder that has an index itself, that one.
    """
    location = location_of(place)
    if not is_url(location) and not os.path.isdir(location):
        raise ValueError(
            f"there is no data set at {location}; make one with `python -m datamodules prepare` or `pack`"
        )
    found = _indexed([location]) or _indexed(join(location, name) for name in _folders_in(location))
    if not found:
        raise ValueError(
            f"no index in {location} or its subfolders; make one with `python -m datamodules index "
            f"{location}`"
        )
    names = sorted(found, key=lambda name: (name != "train", name != "val", name))
    return {name: ShardIndex.load(found[name]) for name in names}


def _folders_in(location: str) -> Iterable[str]:
    try:
        return folders_in(location)
    except OSError:
        if not is_url(location):
            raise
        return _USUAL  # not every web server lists its folders


def _indexed(folders: Iterable[str]) -> dict[str, str]:
    """Those with an index, by their names."""
    places = list(folders)
    sizes = file_sizes([join(place, HEADER) for place in places])
    names = [os.path.basename(os.path.abspath(place)) for place in places]
    return {name: place for name, place, size in zip(names, places, sizes, strict=True) if size is not None}


def write_subset(index: ShardIndex, numbers: np.ndarray, directory: Path) -> None:
    """Write an index over the same shards with some of their samples (ascending numbers)."""
    borders = np.flatnonzero(np.diff(index.shards_of(numbers))) + 1
    write_index(directory, (index.part(samples) for samples in np.split(numbers, borders)))
