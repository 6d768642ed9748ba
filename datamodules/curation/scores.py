"""Score samples, once: scores are kept in files per step and shard, and killed runs go on."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.curation.step import Step
from datamodules.damage import naming_damage
from datamodules.index import ShardIndex
from datamodules.sample_files import Chunk, SampleFiles, chunks_by_shard, each_chunk
from infinity.atomic import write_atomically

__all__ = ["ScoreFiles", "Scores", "score_missing"]

_CHUNK = 64  # samples between two writes: what a killed run loses, per process


class Scores(NamedTuple):
    """Scores of N samples."""

    known: np.ndarray  # bool (N,): scored, or known to be unreadable
    values: np.ndarray  # (N,), of the step's type
    causes: dict[int, str]  # why the samples at these positions can't be read


class ScoreFiles:
    """The scores of one step over one split, a file per shard.

    A sample is known by its shard (path and size), its place there and the sum over its files' tar headers.
    """

    def __init__(self, directory: Path, step: Step, index: ShardIndex) -> None:
        self.directory = directory / f"{step.name}-{step.fingerprint}"
        self.score_type = step.score_type
        self.index = index

    def load(self, numbers: np.ndarray) -> Scores:
        """What is known about samples (ascending numbers)."""
        scores = Scores(np.zeros(len(numbers), bool), np.zeros(len(numbers), self.score_type), {})
        start = 0
        for chunk in chunks_by_shard(self.index, numbers, len(self.index)):
            samples, values, causes = self._read(chunk)
            if len(samples):
                wanted = self._samples(chunk)
                order = np.argsort(samples)
                places = order[np.minimum(np.searchsorted(samples, wanted, sorter=order), len(samples) - 1)]
                known = samples[places] == wanted
                scores.known[start : start + len(chunk)] = known
                scores.values[start : start + len(chunk)][known] = values[places[known]]
                for position in np.flatnonzero(known).tolist() if causes else ():
                    if cause := causes.get(str(wanted[position])):
                        scores.causes[start + position] = cause
            start += len(chunk)
        return scores

    def add(self, chunk: Chunk, results: list[Any]) -> None:
        """Keep more scores of one shard, or the errors in their place."""
        samples, values, causes = self._read(chunk)
        added, new_values = self._samples(chunk), np.zeros(len(chunk), self.score_type)
        for place, result in enumerate(results):
            if isinstance(result, Exception):
                causes[str(added[place])] = str(result)
            else:
                new_values[place] = result
        buffer = io.BytesIO()
        np.savez(
            buffer,
            samples=np.concatenate([samples, added]),
            values=np.concatenate([values, new_values]),
            causes=np.frombuffer(json.dumps(causes).encode(), np.uint8),
        )
        self.directory.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(chunk), buffer.getvalue())

    def _samples(self, chunk: Chunk) -> np.ndarray:
        """A number per sample by which its shard knows it."""
        rows = self.index.rows[chunk]
        return rows["image"].astype(np.uint64) << np.uint64(32) | rows["header_sum"]

    def _path(self, chunk: Chunk) -> Path:
        shard = self.index.shards[int(self.index.shards_of(chunk[0]))]
        digest = hashlib.sha256(f"{shard.path} {shard.num_bytes}".encode()).hexdigest()[:8]
        return self.directory / f"{Path(shard.path).stem}-{digest}.npz"

    def _read(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
        path = self._path(chunk)
        if not path.exists():
            return np.empty(0, np.uint64), np.empty(0, self.score_type), {}
        damage = naming_damage(path, "remove it, and its scores are made again")
        with damage, np.load(path, allow_pickle=False) as data:
            return data["samples"], data["values"], json.loads(data["causes"].tobytes())


class _ChunkScorer:
    """Scores the samples of a chunk: what runs in the processes."""

    def __init__(self, step: Step, index: ShardIndex) -> None:
        self.step = step
        self.files = SampleFiles(index)

    def __call__(self, chunk: Chunk) -> list[Any]:
        return self.step.scores(self.files[number] for number in chunk.tolist())


def score_missing(
    step: Step,
    index: ShardIndex,
    numbers: np.ndarray,
    files: ScoreFiles,
    num_workers: int,
    progress: Callable[[int], None],
) -> None:
    """Score samples that have no scores yet; `progress` is told how many were done since its last call."""
    chunks = chunks_by_shard(index, numbers, _CHUNK)
    parallel = step.in_processes and len(numbers) > _CHUNK
    for chunk, results in each_chunk(
        _ChunkScorer(step, index), chunks, num_workers=num_workers if parallel else 1
    ):
        files.add(chunk, results)
        progress(len(chunk))
