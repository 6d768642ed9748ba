"""Writing WebDataset shards in img2dataset's layout: ``<key>.png``, ``.txt`` and ``.json`` in ``00000.tar``.

A shard appears under its name only when it is complete: an interrupted run goes on with the missing ones.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from datamodules.damage import naming_damage
from datamodules.decode import BrokenSampleError
from datamodules.engines import Engine
from infinity.atomic import replacing, write_atomically

__all__ = [
    "Sample",
    "SampleSource",
    "ShardJob",
    "clean_key",
    "left_out_of",
    "shard_jobs",
    "write_shard",
    "write_shards",
]


class Sample(NamedTuple):
    key: str  # unique in the data set, without dots
    image: bytes  # encoded
    extension: str  # png, jpg or webp
    caption: str
    width: int
    height: int
    metadata: dict[str, Any]  # goes into the .json beside key, caption, width and height


def clean_key(name: object) -> str:
    """A name without dots and slashes, which mean something in a key."""
    return re.sub(r"[^\w-]+", "_", str(name))


class SampleSource(Protocol):
    """The samples of one split by number, in a picklable object."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample:
        """Make or read a sample; raises BrokenSampleError, naming it, if it has to be left out."""
        ...


class ShardJob(NamedTuple):
    """A shard to write: all that a process, here or elsewhere, needs to know for it."""

    path: Path
    source: SampleSource  # the samples of this shard, or of the whole split
    indices: range  # in `source`


def shard_jobs(source: SampleSource, directory: Path, samples_per_shard: int) -> list[ShardJob]:
    """One job per shard of a split.

    A source with a method ``part(start, stop)``, the source of those samples alone, is cut up, so that a job
    of a large one stays small.
    """
    part = getattr(source, "part", None)
    jobs = []
    for number, start in enumerate(range(0, len(source), samples_per_shard)):
        stop = min(start + samples_per_shard, len(source))
        path = directory / f"{number:05d}.tar"
        if part is None:
            jobs.append(ShardJob(path, source, range(start, stop)))
        else:
            jobs.append(ShardJob(path, part(start, stop), range(stop - start)))
    return jobs


def write_shards(
    source: SampleSource,
    directory: Path,
    *,
    samples_per_shard: int,
    engine: Engine,
    on_samples: Callable[[int], None] = lambda count: None,
) -> None:
    """Write the shards of a split that are not there yet.

    Args:
        on_samples: called with the number of samples done since the last call, for a progress bar.
    """
    directory.mkdir(parents=True, exist_ok=True)
    missing = []
    for job in shard_jobs(source, directory, samples_per_shard):
        if job.path.exists():
            on_samples(len(job.indices))
        else:
            missing.append(job)
    for count in engine(write_shard, missing):
        on_samples(count)


def left_out_of(directory: Path) -> list[str]:
    """Samples that could not be written into the shards of a split."""
    left_out: list[str] = []
    for path in sorted(directory.glob("*_stats.json")):
        shard = path.name.replace("_stats.json", ".tar")
        with naming_damage(path, f"remove {shard} beside it and call again, which makes both anew"):
            left_out += json.loads(path.read_text("utf-8"))["left_out"]
    return left_out


def write_shard(job: ShardJob) -> int:
    """Write a shard, unless another process did; returns how many samples were tried."""
    path, source, indices = job
    if path.exists():
        return len(indices)
    left_out: list[str] = []

    def samples() -> Iterator[Sample]:
        for index in indices:
            try:
                yield source[index]
            except BrokenSampleError as error:
                left_out.append(str(error))

    with replacing(path) as temporary:
        with tarfile.open(temporary, mode="w") as tar:
            for sample in samples():
                for name, data in _files(sample):
                    info = tarfile.TarInfo(name)
                    info.size, info.mode = len(data), 0o444
                    tar.addfile(info, io.BytesIO(data))
        stats = {"count": len(indices) - len(left_out), "left_out": left_out}
        write_atomically(path.with_name(f"{path.stem}_stats.json"), json.dumps(stats))
    return len(indices)


def _files(sample: Sample) -> list[tuple[str, bytes]]:
    """Names and contents of a sample's files, in their order."""
    facts = {"key": sample.key, "caption": sample.caption, "width": sample.width, "height": sample.height}
    record = json.dumps({**sample.metadata, **facts}, ensure_ascii=False)
    files = {
        "json": record.encode(errors="replace"),
        sample.extension: sample.image,
        "txt": sample.caption.encode(),
    }
    return [(f"{sample.key}.{extension}", files[extension]) for extension in sorted(files)]
