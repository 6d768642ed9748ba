"""Index shards where they lie: find them, scan them in processes, write the index of every split.

Each shard's scan is kept beside the index until that is written, so an interrupted run goes on with the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from braceexpand import braceexpand

from datamodules.damage import naming_damage
from datamodules.engines import Engine, Processes
from datamodules.holdout import check_val_fraction, held_out
from datamodules.index import ShardIndex, ShardScan, scan_shard, write_index
from datamodules.index_files import VERSION
from datamodules.listing import file_sizes, folders_in, sizes_in
from datamodules.storage import cache_folder, check_writable, is_url, join, location_of
from infinity.atomic import write_atomically

__all__ = [
    "PACKED",
    "SCANS",
    "Progress",
    "divided",
    "find_shards",
    "index_directory",
    "index_shards",
    "silent",
]

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done_since_last_call, total)``."""

Keep = Callable[[str], bool]
"""Whether a sample belongs to a split, by ``<shard's name>/<key>``."""

SCANS = ".index_scans"
"""Folder beside an index that is being written: what was found in each shard so far."""

PACKED = re.compile(r"\.(?:tgz|tar\.(?:gz|bz2|xz|zst))$")
"""How the names of compressed shards end."""


def silent(what: str, done: int, total: int) -> None:
    pass


def index_directory(
    source: str | Path,
    *,
    out: str | Path | None = None,
    val_fraction: float = 0.0,
    num_workers: int = 1,
    progress: Progress = silent,
) -> dict[str, ShardIndex]:
    """Index shards where they lie, without rewriting them; returns the new indices by split.

    A folder with shards is one split; with a `val_fraction` it is divided, by a hash of each sample's shard
    name and key, into ``train`` and ``val``, whose indices get a subfolder each. Else every subfolder with
    shards is a split.

    Args:
        source: a local folder or the URL of one, or a pattern for shards: ``data/{00000..00331}.tar``.
        out: where the index goes, if not beside the shards; they are then found by their URL or path.
    """
    check_val_fraction(val_fraction)
    splits = find_shards(source, out)
    if val_fraction and len(splits) > 1:
        raise ValueError(f"val_fraction divides one folder of shards, but {source} has them in subfolders")
    targets: list[str] = []
    for target, shards in splits.items():
        parts = divided(target, val_fraction)
        index_shards(shards, parts, engine=Processes(num_workers), progress=progress)
        targets += parts
    indices = {_base_name(target): ShardIndex.load(target) for target in targets}
    for index in indices.values():
        index.verify()  # a web server without byte ranges shows here, not in the middle of a training
    return indices


def divided(place: str, val_fraction: float) -> dict[str, Keep | None]:
    """The indices of the samples of some shards, by their places, each with what belongs to it."""
    if not val_fraction:
        return {place: None}
    return {
        join(place, "train"): lambda key: not held_out(key, val_fraction),
        join(place, "val"): lambda key: held_out(key, val_fraction),
    }


def find_shards(source: str | Path, out: str | Path | None = None) -> dict[str, list[str]]:
    """The shards of every split, by the place of its index; the arguments are those of `index_directory`."""
    source, out = location_of(source), location_of(out) if out else None
    if source.endswith(".tar") or (set("{*") & set(source) and not os.path.isdir(source)):
        shards = _expanded(source)
        folders = {shard.rpartition("/")[0] or "." for shard in shards}
        if out is None and len(folders) != 1:
            raise ValueError(
                f"{source} names shards in {len(folders)} folders; say by --out where to index them"
            )
        return {out or folders.pop(): shards}
    if shards := _tars(source):
        return {out or source: shards}
    splits = {join(out or source, name): _tars(join(source, name)) for name in folders_in(source)}
    splits = {target: shards for target, shards in splits.items() if shards}
    if not splits:
        packed = any(map(PACKED.search, sizes_in(source)))
        hint = " (its compressed ones must be unpacked first: files in them have no fixed places)"
        raise ValueError(f"no .tar shards in {source} or in its subfolders{hint if packed else ''}")
    return splits


def index_shards(
    shards: Sequence[str | Path],
    splits: Mapping[str, Keep | None],
    *,
    engine: Engine,
    progress: Progress = silent,
) -> None:
    """Scan some shards and write the index of every split.

    Args:
        splits: what belongs to each, by the place of its index; None for all samples.
    """
    locations = [location_of(shard) for shard in shards]
    scans = _scans_folder(next(iter(splits)))
    jobs = _jobs(locations, scans)
    missing = [job for job in jobs if not job.scan.exists()]
    what = f"index {' and '.join(map(_base_name, splits))}"
    progress(what, len(jobs) - len(missing), len(jobs))
    scans.mkdir(parents=True, exist_ok=True)
    for place in filter(is_url, splits):
        check_writable(place)
    damaged = []
    for problem in engine(_scan, missing):
        progress(what, 1, len(jobs))
        if problem:
            damaged.append(problem)
    if damaged:  # all at once: each would be another run
        others = f", and so are {len(damaged) - 1} more: {'; '.join(damaged[1:10])}" if damaged[1:] else ""
        raise ValueError(damaged[0] + others)
    for place, keep in splits.items():
        write_index(place, (_loaded(job.scan) for job in jobs), keep)
    shutil.rmtree(scans)


class _Job(NamedTuple):
    location: str
    scan: Path  # file to write


def _jobs(locations: Sequence[str], scans: Path) -> list[_Job]:
    """A scan's name says of what it is; one of a shard that was replaced meanwhile is not taken."""
    if len(set(locations)) < len(locations):
        raise ValueError(f"a shard is named twice among {locations[0]} .. {locations[-1]}")
    jobs = []
    for location, size in zip(locations, file_sizes(locations), strict=True):
        if size is None:
            raise ValueError(f"shard {location} is missing; bring it back, or leave it out of the pattern")
        changed = 0 if is_url(location) else os.stat(location).st_mtime_ns
        name = hashlib.sha256(f"{VERSION} {location} {size} {changed}".encode()).hexdigest()[:24]
        jobs.append(_Job(location, scans / f"{name}.npz"))
    return jobs


def _scan(job: _Job) -> str:
    """Scan a shard and keep what was found; returns what is wrong with a damaged one, else nothing."""
    try:
        scan = scan_shard(job.location)
    except ValueError as error:
        return str(error)
    facts = json.dumps([scan.location, scan.num_bytes, scan.left_out]).encode()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        rows=scan.rows,
        widths=scan.widths,
        heights=scan.heights,
        keys=np.frombuffer(scan.keys, "u1"),
        facts=np.frombuffer(facts, "u1"),
    )
    write_atomically(job.scan, buffer.getvalue())
    return ""


def _loaded(path: Path) -> ShardScan:
    damage = naming_damage(path, "remove it, and its shard is scanned again")
    with damage, np.load(path, allow_pickle=False) as arrays:
        location, num_bytes, left_out = json.loads(arrays["facts"].tobytes())
        return ShardScan(
            location,
            num_bytes,
            arrays["rows"],
            arrays["widths"],
            arrays["heights"],
            arrays["keys"].tobytes(),
            [(key, cause) for key, cause in left_out],
        )


def _scans_folder(place: str) -> Path:
    if is_url(place):
        return cache_folder() / f"scans-{hashlib.sha256(place.encode()).hexdigest()[:16]}"
    return Path(place) / SCANS


def _tars(folder: str) -> list[str]:
    names = sorted(sizes_in(folder))
    shards = [name for name in names if fnmatchcase(name, "[!.]*.tar")]
    packed = [name for name in names if PACKED.search(name) and PACKED.sub(".tar", name) not in shards]
    if shards and packed:
        raise ValueError(
            f"{folder} holds compressed shards too ({', '.join(packed[:3])}), whose files have no fixed "
            f"places; unpack them, or move them away"
        )
    return [join(folder, name) for name in shards]


def _expanded(pattern: str) -> list[str]:
    """Braces as a shell expands them; ``*`` in the file's name by what is there."""
    shards: list[str] = []
    for name in braceexpand(pattern):
        folder, _, file = name.rpartition("/")
        if "*" in file:
            shards += [join(folder, there) for there in sorted(sizes_in(folder)) if fnmatchcase(there, file)]
        else:
            shards.append(name)
    if not shards:
        raise ValueError(f"no shards match {pattern}")
    return shards


def _base_name(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2] if is_url(place) else os.path.basename(os.path.abspath(place))
