"""How long captions are, by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex
from datamodules.sample_files import Chunk, SampleFiles, chunks_by_shard, each_chunk

__all__ = ["CaptionLengths", "read_caption_lengths"]

_CHUNK = 2000


class CaptionLengths(NamedTuple):
    """Lengths of all captions of some samples."""

    words: dict[str, np.ndarray]  # by kind, a number per caption
    characters: dict[str, np.ndarray]
    num_read: int  # samples
    broken: Counter[str]  # causes


class _Reader:
    """Reads the captions of a chunk: (words, characters) by kind, and causes of broken ones."""

    def __init__(self, index: ShardIndex) -> None:
        self.files = SampleFiles(index)

    def __call__(self, chunk: Chunk) -> tuple[dict[str, list[tuple[int, int]]], Counter[str]]:
        lengths: dict[str, list[tuple[int, int]]] = {}
        broken: Counter[str] = Counter()
        for number in chunk.tolist():
            try:
                captions = self.files[number].captions
            except BrokenSampleError as error:
                broken[str(error)] += 1
                continue
            for kind, texts in captions.items():
                lengths.setdefault(kind, []).extend((len(text.split()), len(text)) for text in texts)
        return lengths, broken


def read_caption_lengths(
    index: ShardIndex, numbers: np.ndarray, num_workers: int, progress: Callable[[int], None]
) -> CaptionLengths:
    """Read the captions of some samples (ascending numbers)."""
    lengths: dict[str, list[tuple[int, int]]] = {}
    broken: Counter[str] = Counter()
    chunks = chunks_by_shard(index, numbers, _CHUNK)
    workers = num_workers if len(numbers) > 10 * _CHUNK else 1  # else starting them takes longer
    for chunk, (found, causes) in each_chunk(_Reader(index), chunks, num_workers=workers):
        for kind, pairs in found.items():
            lengths.setdefault(kind, []).extend(pairs)
        broken += causes
        progress(len(chunk))
    arrays = {kind: np.array(pairs).reshape(-1, 2) for kind, pairs in lengths.items()}
    words = {kind: array[:, 0] for kind, array in arrays.items()}
    characters = {kind: array[:, 1] for kind, array in arrays.items()}
    return CaptionLengths(words, characters, len(numbers), broken)
