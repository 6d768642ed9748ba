"""Write caches: a side shard is there as a whole or not at all; a stopped run goes on with the others."""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors.torch
from torch import Tensor

from datamodules.caching import PLACE, CacheFacts
from datamodules.damage import naming_damage
from datamodules.index import ShardIndex
from infinity.atomic import replacing, write_atomically
from infinity.configs import config_from_dict, config_to_dict

__all__ = ["Encoded", "Written", "write_cache"]

Encoded = Iterator[tuple[int, dict[str, Tensor] | str]]
"""Numbers of samples, each with its tensors by name, or with what makes it unusable."""


class Written(NamedTuple):
    """What there is of a cache.

    Args:
        num_samples: that it has; None as long as other parts lack side shards.
        left_out: key and cause of the others, in all side shards that are there.
    """

    num_samples: int | None
    left_out: list[str]


def write_cache(
    directory: Path,
    index: ShardIndex,
    facts: CacheFacts,
    encode: Callable[[range], Encoded],
    *,
    part: int = 0,
    num_parts: int = 1,
    on_samples: Callable[[int], None] = lambda count: None,
) -> Written:
    """Write the side shards of a split that are not there yet.

    Args:
        encode: encodes the samples of one shard, in any order.
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
    left_out = [cause for path in paths if path.exists() for cause in _left_out_of(path)]
    if not all(path.exists() for path in paths):
        return Written(None, left_out)
    places = np.concatenate([_places_of(*of_shard) for of_shard in zip(paths, map(len, rows), strict=True)])
    num_samples = int(np.count_nonzero(places["num_bytes"]))
    if not num_samples:
        causes = "; ".join(left_out[:3])
        raise ValueError(
            f"none of {len(index)} samples can be cached ({causes}); mend that and remove {directory}"
        )
    write_atomically(directory / "places.npy", _npy(places))
    _write_header(directory, facts, [*paths, directory / "places.npy"])
    for leftover in directory.glob(".[0-9]*.tmp"):  # of runs that were killed
        leftover.unlink(missing_ok=True)
    return Written(num_samples, left_out)


def _start(directory: Path, facts: CacheFacts) -> None:
    header = directory / "cache.json"
    if header.exists():
        with naming_damage(header, f"remove {directory} and call again, or choose another one with --out"):
            found = config_from_dict(CacheFacts, json.loads(header.read_text("utf-8"))["facts"])
        if found != facts:
            raise ValueError(
                f"{directory} holds a cache of the index {found.index}, and the split now has {facts.index}; "
                f"remove it yourself or choose another directory with --out"
            )
    elif any(directory.glob("*.tar")):
        raise ValueError(f"{directory} holds shards but no cache; choose another directory with --out")
    else:
        _write_header(directory, facts, [])


def _write_header(directory: Path, facts: CacheFacts, files: Iterable[Path]) -> None:
    sizes = {path.name: path.stat().st_size for path in files}
    content = {"facts": config_to_dict(facts), "shards": sizes}
    write_atomically(directory / "cache.json", json.dumps(content, indent=1) + "\n")


def _write_side_shard(path: Path, shard: int, index: ShardIndex, rows: range, encoded: Encoded) -> None:
    places = np.zeros(len(rows), PLACE)
    left_out: dict[int, str] = {}
    with replacing(path) as temporary:
        with tarfile.open(temporary, mode="w") as tar:
            for sample, result in encoded:
                key = index[sample].key
                if isinstance(result, str):
                    left_out[sample] = f"{key}: {result}"
                    continue
                data = safetensors.torch.save(result)
                info = tarfile.TarInfo(f"{key}.safetensors")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
                start = tar.offset - -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                places[sample - rows.start] = (shard, zlib.crc32(data), start, len(data))
        write_atomically(path.with_suffix(".npy"), _npy(places))
        write_atomically(path.with_suffix(".json"), json.dumps([left_out[k] for k in sorted(left_out)]))


def _left_out_of(shard: Path) -> list[str]:
    path = shard.with_suffix(".json")
    with naming_damage(path, _again(shard)):
        return [str(cause) for cause in json.loads(path.read_text("utf-8"))]


def _places_of(shard: Path, num_samples: int) -> np.ndarray:
    path = shard.with_suffix(".npy")
    with naming_damage(path, _again(shard)):
        places = np.load(path)
        if places.dtype != PLACE or places.shape != (num_samples,):
            raise ValueError(f"{places.shape} places where {num_samples} samples are")
        return places


def _again(shard: Path) -> str:
    return f"remove {shard} and call again, which makes both anew"


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
