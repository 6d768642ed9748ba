"""Whole samples by number: what passes over a data set read, shard after shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from datamodules.captions import captions_of
from datamodules.decode import decode_rgb
from datamodules.engines import process_pool
from datamodules.index import SampleRow, ShardIndex, read_member
from datamodules.storage import ShardFile, open_file

__all__ = ["Chunk", "SampleFiles", "StoredSample", "chunks_by_shard", "each_chunk"]

_READ_AHEAD = 2**23

Chunk = np.ndarray
"""Ascending numbers of samples of one shard."""


class StoredSample:
    """One sample; its parts are read when they are asked for, and kept.

    An unusable part raises :class:`~datamodules.decode.BrokenSampleError`.
    """

    def __init__(self, row: SampleRow, file: ShardFile, max_pixels: int) -> None:
        self.row = row
        self._file = file
        self._max_pixels = max_pixels

    @cached_property
    def image_bytes(self) -> bytes:
        return read_member(self._file, self.row.image) or b""

    @cached_property
    def image(self) -> Image.Image:
        """The decoded image, RGB."""
        return decode_rgb(self.image_bytes, self._max_pixels)

    @cached_property
    def captions(self) -> dict[str, tuple[str, ...]]:
        """All captions by kind, the main kind first."""
        return captions_of(read_member(self._file, self.row.text), read_member(self._file, self.row.meta))

    @property
    def caption(self) -> str:
        """The main caption."""
        return next(iter(self.captions.values()))[0]


class SampleFiles:
    """Samples by number. One shard is open at a time, so ask for them in the order of the index.

    Args:
        max_pixels: larger images count as unreadable.
    """

    def __init__(self, index: ShardIndex, max_pixels: int = 2**26) -> None:
        self.index = index
        self.max_pixels = max_pixels
        self._shard = -1
        self._file: ShardFile | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_shard": -1, "_file": None}

    def __getitem__(self, number: int) -> StoredSample:
        row = self.index[number]
        if self._file is None or row.shard != self._shard:
            self.close()
            self._file = open_file(self.index.location(row.shard), _READ_AHEAD)
            self._shard = row.shard
        return StoredSample(row, self._file, self.max_pixels)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def chunks_by_shard(index: ShardIndex, numbers: np.ndarray, size: int) -> Iterator[Chunk]:
    """Cut ascending numbers into chunks of at most `size` samples, each of one shard."""
    borders = np.flatnonzero(np.diff(index.shards_of(numbers))) + 1
    for group in np.split(numbers, borders):
        for start in range(0, len(group), size):
            yield group[start : start + size]


def each_chunk(
    work: Callable[[Chunk], Any], chunks: Iterable[Chunk], *, num_workers: int
) -> Iterator[tuple[Chunk, Any]]:
    """Apply `work` to every chunk, in processes if `num_workers` > 1; yields as they are done.

    `work` goes to each process once, so what it opens or loads is kept from chunk to chunk.
    """
    if num_workers <= 1:
        for chunk in chunks:
            yield chunk, work(chunk)
        return
    remaining = iter(chunks)
    with process_pool(num_workers, _start_worker, work) as pool:
        pending = {pool.submit(_work, chunk): chunk for chunk in islice(remaining, 2 * num_workers)}
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                finished = pending.pop(future)
                for chunk in islice(remaining, 1):
                    pending[pool.submit(_work, chunk)] = chunk
                yield finished, future.result()


_worker: Callable[[Chunk], Any]


def _start_worker(work: Callable[[Chunk], Any]) -> None:
    global _worker
    _worker = work


def _work(chunk: Chunk) -> Any:
    return _worker(chunk)
