"""Passes over the data in turns, and the time to the first batch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from datamodules.bench.loaders import LOADERS, Bare, BenchData, Loader
from datamodules.index import ShardIndex

__all__ = ["LoaderRow", "loader_rows", "write_loose_files"]


@dataclass(frozen=True, kw_only=True)
class LoaderRow:
    """Medians of one way to read the data."""

    loader: str
    num_workers: int
    images_per_s: float
    share: float  # of the speed of bare decoding with Pillow and as many processes
    first_batch_s: float


def loader_rows(
    data: BenchData, num_workers: Sequence[int], rounds: int, progress: Callable[[], None]
) -> Iterator[LoaderRow]:
    """Time every loader with every number of workers.

    The loaders take turns, so that a machine that slows down for a while slows all of them; their workers
    live through all rounds, and the first round isn't counted.
    """
    for number in num_workers:
        speeds: dict[str, list[float]] = {name: [] for name in LOADERS}
        firsts: dict[str, list[float]] = {name: [] for name in LOADERS}
        with ExitStack() as stack:
            loaders = {
                name: stack.enter_context(closing(make(data, number))) for name, make in LOADERS.items()
            }
            for round_ in range(rounds + 1):
                for name, loader in loaders.items():
                    speed = _images_per_s(loader)
                    if round_:
                        speeds[name].append(speed)
                        firsts[name].append(_first_batch_s(LOADERS[name], data, number))
                    progress()
        medians = {name: statistics.median(measured) for name, measured in speeds.items()}
        bare = next(medians[name] for name, make in LOADERS.items() if make is Bare)
        for name, median in medians.items():
            yield LoaderRow(
                loader=name,
                num_workers=number,
                images_per_s=median,
                share=median / bare,
                first_batch_s=statistics.median(firsts[name]),
            )


def write_loose_files(data: BenchData) -> None:
    """Write the images and captions of the split into a folder of files."""
    data.loose.mkdir()
    index = ShardIndex.load(data.root / "train")
    for number in range(len(index)):
        row = index[number]
        with index.shard_path(row.shard).open("rb") as file:
            for extension, member in (("image", row.image), ("txt", row.text)):
                file.seek(member.start)
                (data.loose / f"{number:08}.{extension}").write_bytes(file.read(member.num_bytes))


def _images_per_s(loader: Loader) -> float:
    start = time.perf_counter()
    count = loader.read()
    return count / (time.perf_counter() - start)


def _first_batch_s(make: type[Loader], data: BenchData, num_workers: int) -> float:
    start = time.perf_counter()
    with closing(make(data, num_workers)) as loader:
        loader.read_first()
        return time.perf_counter() - start
