"""Indices of many samples: how long a start and a resumption take, and whether memory stays flat."""

from __future__ import annotations

import re
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from datamodules.bench.photos import photo_dataset
from datamodules.index import scan_shard, write_index
from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from infinity.schedules import Resolution

__all__ = ["ScaleRow", "measure_scale", "simulate_index", "use_index"]

_SHARD = 10_000  # samples, as img2dataset writes them
_BATCH = 64
_NUM_REQUESTED = 10**6  # samples
_STEPS = 20
_RESOLUTION = Resolution(stride=8, sides=(1, 2), aspect_ratios=(0.6, 1.0, 5 / 3))


@dataclass(frozen=True, kw_only=True)
class ScaleRow:
    """An index of `num_samples`.

    Args:
        write_s: time to write the index, without looking into shards.
        start_s: from the data module to the first batch, without workers.
        resume_s: the same, going on in the middle of the second epoch.
        memory_mb: proportional set size of the process after the first batch, -1 where no system tells.
        growth_mb: by how much it was larger at most, while 10^6 samples were requested.
    """

    num_samples: int
    index_mb: float
    write_s: float
    start_s: float
    resume_s: float
    memory_mb: float
    growth_mb: float


def measure_scale(num_samples: int, folder: Path) -> ScaleRow:
    """Simulate an index in a temporary folder below `folder` and use it in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="index-") as temporary:
        root = Path(temporary)
        written = simulate_index(root, num_samples)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            used = pool.submit(use_index, root).result()
    return ScaleRow(num_samples=num_samples, **written, **used)


def simulate_index(root: Path, num_samples: int) -> dict[str, float]:
    """List one shard of small images again and again: reading is real, there are only few images."""
    per_shard = min(_SHARD, num_samples)
    pack_dataset(root, photo_dataset(per_shard, sides=(16, 33)), samples_per_shard=per_shard)
    split = root / "train"
    scan = scan_shard(next(split.glob("*.tar")))
    start = time.perf_counter()
    write_index(split, repeat(scan, num_samples // per_shard))
    write_s = time.perf_counter() - start
    return {"index_mb": sum(path.stat().st_size for path in split.glob("index*")) / 1e6, "write_s": write_s}


def use_index(root: Path) -> dict[str, float]:
    """Start, request samples, go on in the middle of the second epoch."""
    start_s, module = _first_batch(root, None)
    state, stream = module.state_dict(), module.train_dataloader()
    memory_mb, grown = _memory_mb(), [0.0]
    requests, num_batches = iter(stream.requests), len(stream)
    for _ in range(_STEPS):
        for _ in islice(requests, min(num_batches, _NUM_REQUESTED // _BATCH) // _STEPS):
            pass
        grown.append(_memory_mb() - memory_mb)
    del module, stream, requests
    resume_s, _ = _first_batch(root, {**state, "batches": num_batches * 3 // 2})
    return {"start_s": start_s, "resume_s": resume_s, "memory_mb": memory_mb, "growth_mb": max(grown)}


def _first_batch(root: Path, state: dict[str, Any] | None) -> tuple[float, ImageTextDataModule]:
    start = time.perf_counter()
    module = ImageTextDataModule(str(root), _RESOLUTION, _BATCH)
    if state:
        module.load_state_dict(state)
    next(iter(module.train_dataloader()))
    return time.perf_counter() - start, module


def _memory_mb() -> float:
    try:
        rollup = Path("/proc/self/smaps_rollup").read_text()
    except OSError:  # not Linux
        return -1.0
    found = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    return int(found[1]) / 1024 if found else -1.0
