"""The files of an index, and writing them.

``index.json`` names the shards with their sizes. It is written last and replaces the old index in one step.
Beside it lie columns, which are memory-mapped when used: ``index-<fingerprint>.rows`` (where a sample's files
and its key are), ``.keys`` (side by side), ``.widths``, ``.heights``, and ``.left_out`` if something was.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from datamodules.index_columns import COLUMNS, column_name
from datamodules.scanning import ShardScan, printable
from datamodules.storage import is_url, join, location_of, upload
from infinity.atomic import write_atomically

__all__ = ["HEADER", "VERSION", "Shard", "prefixes_of", "split_keys", "write_index"]

VERSION = 2
HEADER = "index.json"

_HASHES_AT_ONCE = 2**23


class Shard(NamedTuple):
    path: str  # relative to the index's directory, or absolute, or a URL
    num_bytes: int
    num_samples: int


class _Column:
    """A file that grows, with its size and CRC-32."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.num_bytes = self.crc32 = 0

    def append(self, data: bytes) -> None:
        self.file.write(data)
        self.num_bytes += len(data)
        self.crc32 = zlib.crc32(data, self.crc32)


def write_index(
    place: str | Path, scans: Iterable[ShardScan], keep: Callable[[str], bool] | None = None
) -> None:
    """Write the index of some shards, in their order, into a folder or to a URL; one scan is held at a time.

    Args:
        keep: whether a sample belongs to this split, if the shards hold several, by ``<shard's name>/<key>``.
    """
    place = location_of(place)
    if not is_url(place):
        _write(Path(place), place, scans, keep)
        return
    with tempfile.TemporaryDirectory() as temporary:
        _write(Path(temporary), place, scans, keep)
        names = [path.name for path in Path(temporary).iterdir() if path.name != HEADER]
        for name in [*names, HEADER]:
            upload(Path(temporary) / name, join(place, name))


def _write(
    directory: Path, base: str, scans: Iterable[ShardScan], keep: Callable[[str], bool] | None
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    shards: list[Shard] = []
    causes: list[str] = []
    num_usable = 0
    fingerprint = hashlib.sha256()
    with ExitStack() as stack:
        columns: dict[str, _Column] = {}
        for name in COLUMNS:
            path = directory / f".index.{name}.tmp"
            stack.callback(path.unlink, missing_ok=True)
            columns[name] = _Column(stack.enter_context(path.open("wb")))
        hashes = stack.enter_context(tempfile.TemporaryFile(dir=directory))
        for scan in scans:
            hashes.write(_hashes(scan).tobytes())
            num_usable += len(scan.widths)
            parts = _kept(scan, keep)
            num_samples = len(parts["widths"])
            fingerprint.update(f"{shard_name(scan.location)} {scan.num_bytes} {num_samples}\n".encode())
            for part in parts.values():
                fingerprint.update(part.tobytes())
            parts["rows"]["key_end"] += columns["keys"].num_bytes
            for name, part in parts.items():
                columns[name].append(part.tobytes())
            columns["left_out"].append(b"".join(_line(item) for item in scan.left_out))
            causes += [": ".join(item) for item in scan.left_out[: 3 - len(causes)]]
            shards.append(Shard(_relative(scan.location, base), scan.num_bytes, num_samples))
        if num_usable and not columns["rows"].num_bytes:
            raise ValueError(
                f"none of {num_usable} samples in {len(shards)} shards falls to {base}; choose another "
                f"val_fraction, or 0 for one split"
            )
        if not columns["rows"].num_bytes:
            listed = f" ({'; '.join(causes)})" if causes else ""
            raise ValueError(f"no usable sample for {base} in {len(shards)} shards{listed}")
        header = {
            "version": VERSION,
            "fingerprint": fingerprint.hexdigest()[:16],
            "unique_keys": _all_differ(hashes),
            "columns": {name: [column.num_bytes, column.crc32] for name, column in columns.items()},
            "shards": shards,
        }
        for column in columns.values():
            column.file.flush()
            os.fsync(column.file.fileno())
        _put_in_place(directory, header)


def _put_in_place(directory: Path, header: dict[str, Any]) -> None:
    """Switch to the new columns by one rename, that of the header; then remove the old ones."""
    names = {name: column_name(header["fingerprint"], name) for name in header["columns"]}
    for name, file_name in names.items():
        if header["columns"][name][0]:
            (directory / f".index.{name}.tmp").replace(directory / file_name)
    write_atomically(directory / HEADER, json.dumps(header))
    for name, file_name in names.items():
        for old in directory.glob(column_name("[0-9a-f]" * 16, name)):
            if old.name != file_name:
                old.unlink()


def _kept(scan: ShardScan, keep: Callable[[str], bool] | None) -> dict[str, np.ndarray]:
    """The columns of the samples of a scan that are kept, ready to be changed."""
    rows, keys = scan.rows.copy(), scan.keys
    chosen: Any = slice(None)
    if keep is not None:
        each = split_keys(keys, rows["key_end"])
        name = shard_name(scan.location)
        chosen = [number for number, key in enumerate(each) if keep(f"{name}/{printable(key)}")]
        each = [each[number] for number in chosen]
        keys, rows = b"".join(each), rows[chosen]
        rows["key_end"] = np.cumsum([len(key) for key in each])
    sizes = {"widths": scan.widths[chosen], "heights": scan.heights[chosen]}
    return {"rows": rows, "keys": np.frombuffer(keys, "u1"), **sizes}


def split_keys(keys: bytes, ends: np.ndarray) -> list[bytes]:
    stops = ends.tolist()
    return [keys[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]


def _line(item: tuple[str, str]) -> bytes:
    return json.dumps(item).encode() + b"\n"


def _relative(location: str, base: str) -> str:
    """A shard's path as the index in `base` keeps it, so that both can be moved together."""
    if is_url(location) or is_url(base):
        inside = base.rstrip("/") + "/"
        return location.removeprefix(inside) if is_url(location) else os.path.abspath(location)
    return Path(os.path.relpath(location, base)).as_posix()


def shard_name(location: str) -> str:
    """``00000`` of ``data/00000.tar`` or ``https://host/00000.tar?signature``."""
    name = location.partition("?")[0] if is_url(location) else location
    return name.rpartition("/")[2].removesuffix(".tar")


def prefixes_of(paths: list[str]) -> list[str]:
    """What makes keys unique that count from zero in each shard: its name, or its path without extension.

    The folder that all shards are in is left away.
    """
    names = [shard_name(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    parts = [path.partition("?")[0].removesuffix(".tar").split("/") for path in paths]
    common = len(os.path.commonprefix([part[:-1] for part in parts]))  # which takes lists, too
    return ["/".join(part[common:]) for part in parts]


def _hashes(scan: ShardScan) -> np.ndarray:
    """64-bit FNV-1a of every key of a scan."""
    keys = np.frombuffer(scan.keys, "u1")
    ends = scan.rows["key_end"].astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)[: len(ends)]
    hashes = np.full(len(ends), 0xCBF29CE484222325, np.uint64)
    for place in range(int((ends - starts).max(initial=0))):
        here = np.flatnonzero(starts + place < ends)
        mixed = hashes[here] ^ keys[starts[here] + place]
        hashes[here] = mixed * np.uint64(0x100000001B3)  # modulo 2**64
    return hashes


def _all_differ(file: BinaryIO) -> bool:
    """Whether no number occurs twice; part of them after part, so that memory is bounded."""
    num_parts = 1 + file.tell() // 8 // _HASHES_AT_ONCE
    for part in range(num_parts):
        chosen = np.concatenate([chunk[chunk % num_parts == part] for chunk in _chunks(file)])
        chosen.sort()
        if (chosen[1:] == chosen[:-1]).any():
            return False
    return True


def _chunks(file: BinaryIO) -> Iterator[np.ndarray]:
    file.seek(0)
    yield np.empty(0, np.uint64)
    while data := file.read(8 * _HASHES_AT_ONCE):
        yield np.frombuffer(data, np.uint64)
