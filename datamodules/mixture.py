"""Several data sets as one: which share of an epoch each has, and their samples under one numbering."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datamodules.index import SampleRow, ShardIndex
from datamodules.storage import ShardFile

__all__ = ["DataSource", "JoinedIndex", "samples_per_epoch", "source_names"]


@dataclass(frozen=True, kw_only=True)
class DataSource:
    """One data set of a mixture.

    Args:
        root: its directory.
        weight: its share of an epoch's samples, relative to the other weights; give all data sets one or
            none. Without, an epoch has every sample of every data set once.
    """

    root: str
    weight: float | None = None

    def __post_init__(self) -> None:
        if self.weight is not None and not (self.weight > 0 and math.isfinite(self.weight)):
            raise ValueError(f"the weight of {self.root} must be a positive number, got {self.weight}")


def samples_per_epoch(sources: Sequence[DataSource], sizes: Sequence[int]) -> list[int]:
    """How many samples of each data set an epoch has; together as many as all data sets have."""
    weights = [source.weight for source in sources if source.weight is not None]
    if not weights:
        return list(sizes)
    if len(weights) < len(sources):
        without = next(source.root for source in sources if source.weight is None)
        raise ValueError(f"data.mixture gives {without} no weight; give one to every data set, or to none")
    ends = [round(sum(sizes) * sum(weights[:k]) / sum(weights)) for k in range(len(weights) + 1)]
    counts = np.diff(ends).tolist()
    if 0 in counts:
        raise ValueError(
            f"the weight of {sources[counts.index(0)].root} is so small that an epoch of {sum(sizes)} "
            f"samples has none of it; raise it, or leave this data set out"
        )
    return counts


def source_names(sources: Sequence[DataSource]) -> list[str]:
    """Short names of the data sets, which make keys unique: the last part of the root where that will do."""
    roots = [source.root.rstrip("/") for source in sources]
    if twice := next((root for root in roots if roots.count(root) > 1), None):
        raise ValueError(f"data.mixture names {twice} twice; name it once and raise its weight")
    names = [Path(root).name for root in roots]
    return names if len(set(names)) == len(names) else roots


class JoinedIndex:
    """The indices of several data sets as one: samples and shards are numbered one data set after the other.

    Args:
        names: of the data sets; a sample's key is ``<name>/<key there>``.
    """

    def __init__(self, names: Sequence[str], indices: Sequence[ShardIndex]) -> None:
        self.names = tuple(names)
        self.indices = tuple(indices)
        self.starts = np.cumsum([0, *map(len, indices)])
        self.first_shards = np.cumsum([0, *(len(index.shards) for index in indices)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, sample: int) -> SampleRow:
        number = int(np.searchsorted(self.starts, sample, side="right")) - 1
        row = self.indices[number][sample - int(self.starts[number])]
        key, shard = f"{self.names[number]}/{row.key}", row.shard + int(self.first_shards[number])
        return row._replace(key=key, shard=shard)

    @property
    def fingerprint(self) -> str:
        return "+".join(index.fingerprint for index in self.indices)

    def location(self, shard: int) -> str:
        """Path or URL of a shard."""
        index, number = self._shard(shard)
        return index.location(number)

    def shard_path(self, shard: int) -> Path:
        """Path of a shard that is on this machine."""
        index, number = self._shard(shard)
        return index.shard_path(number)

    def open_shard(self, shard: int) -> ShardFile:
        index, number = self._shard(shard)
        return index.open_shard(number)

    def _shard(self, shard: int) -> tuple[ShardIndex, int]:
        """The data set of a shard, and its number there."""
        number = int(np.searchsorted(self.first_shards, shard, side="right")) - 1
        return self.indices[number], shard - int(self.first_shards[number])
