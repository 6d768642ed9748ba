"""Write caches: a side shard is there as a whole or not at all; a stopped run goes on with the others."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import safetensors.torch
from torch import Tensor

from datamodules.caching import PLACE, CacheFacts
from datamodules.index import ShardIndex
from infinity.atomic import replacing, write_atomically
from infinity.configs import config_from_dict, config_to_dict

__all__ = ["Encoded", "write_cache"]

Encoded = Iterator[tuple[int, dict[str, Tensor]]]
"""Numbers of samples, and their tensors by name; unusable samples are left out."""


def write_cache(
    directory: Path,
    index: ShardIndex,
    facts: CacheFacts,
    encode: Callable[[range], Encoded],
    *,
    part: int = 0,
    num_parts: int = 1,
    on_samples: Callable[[int], None] = lambda count: None,
) -> int | None:
    """Write the side shards of a split that are not there yet.

    Returns how many samples the cache has once all side shards are there, None if other parts lack some.

    Args:
        encode: gives the tensors of the samples of one shard, in any order.
        part: of the shards, every `num_parts`-th from here on.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _start(directory, facts)
    rows = [range(start, stop) for start, stop in pairwise(index.shard_starts.tolist())]
    for shard in range(part, len(rows), num_parts):
        path = directory / f"{shard:05d}.tar"
        if not path.exists():
            _write_side_shard(path, shard, index, rows[shard], encode(rows[shard]))
        on_samples(len(rows[shard]))
    paths = [directory / f"{shard:05d}.tar" for shard in range(len(rows))]
    if not all(path.exists() for path in paths):
        return None
    places = np.concatenate([np.load(path.with_suffix(".npy")) for path in paths])
    write_atomically(directory / "places.npy", _npy(places))
    _write_header(directory, facts, paths)
    for leftover in directory.glob(".*.tar.*.tmp"):  # of runs that were killed
        leftover.unlink(missing_ok=True)
    return int(np.count_nonzero(places["num_bytes"]))


def _start(directory: Path, facts: CacheFacts) -> None:
    header = directory / "cache.json"
    if header.exists():
        found = config_from_dict(CacheFacts, json.loads(header.read_text())["facts"])
        if found != facts:
            raise ValueError(
                f"{directory} holds a cache of the index {found.index}, and the split now has {facts.index}; "
                f"remove it yourself or choose another directory with --out"
            )
    elif any(directory.glob("*.tar")):
        raise ValueError(f"{directory} holds shards but no cache; choose another directory with --out")
    else:
        _write_header(directory, facts, [])


def _write_header(directory: Path, facts: CacheFacts, shards: Iterable[Path]) -> None:
    sizes = {path.name: path.stat().st_size for path in shards}
    content = {"facts": config_to_dict(facts), "shards": sizes}
    write_atomically(directory / "cache.json", json.dumps(content, indent=1) + "\n")


def _write_side_shard(path: Path, shard: int, index: ShardIndex, rows: range, encoded: Encoded) -> None:
    places = np.zeros(len(rows), PLACE)
    with replacing(path) as temporary:
        with tarfile.open(temporary, mode="w") as tar:
            for sample, tensors in encoded:
                data = safetensors.torch.save(tensors)
                info = tarfile.TarInfo(f"{index[sample].key}.safetensors")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                start = tar.offset - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                places[sample - rows.start] = (shard, zlib.crc32(data), start, len(data))
        write_atomically(path.with_suffix(".npy"), _npy(places))


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
