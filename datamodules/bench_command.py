"""``python -m datamodules bench``: time the loader against bare decoding of the same files."""

from __future__ import annotations

import json
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from datamodules.command_line import names_of
from datamodules.packing import Progress, pack_dataset
from infinity.atomic import write_atomically

__all__ = ["parser", "run"]

_NUM_SHARDS = 8


def parser() -> ArgumentParser:
    """What to read and how often."""
    made = ArgumentParser(
        prog="python -m datamodules bench",
        description="Time the loader against bare decoding of the same files, and beside plain webdataset "
        "and PyTorch over loose files; then start-up, resume and memory on indices of many samples.",
        epilog="example: python -m datamodules bench --num_images 1024 --rounds 5",
    )
    made.add_argument("data", type=str, nargs="?", help="data set to read (default: drawn photographs)")
    made.add_argument("--output", type=str, default="runs/bench_data", help="directory of the results")
    made.add_argument("--num_images", type=int, default=1024, help="photographs to draw")
    made.add_argument("--size", type=int, default=256, help="height and width of the batches, in pixels")
    made.add_argument("--batch_size", type=int, default=16)
    made.add_argument("--workers", type=str | list[int], default="0,1,2", help="numbers of worker processes")
    made.add_argument("--rounds", type=int, default=5, help="passes over the data of every loader")
    made.add_argument(
        "--samples", type=str | list[int], default=f"{10**6},{10**8}", help="sizes of simulated indices"
    )
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Measure; returns the tables and where they are."""
    # here, as --help needs no torch
    import torch

    from datamodules.bench.loaders import LOADERS, BenchData
    from datamodules.bench.measure import loader_rows, write_loose_files
    from datamodules.bench.photos import photo_dataset
    from datamodules.bench.scale import measure_scale

    options.workers, options.samples = _numbers(options.workers), _numbers(options.samples)
    counts = {name: options[name] for name in ("num_images", "size", "batch_size", "rounds")}
    if options.size % 16 or min(counts.values()) < 1:
        raise ValueError(f"size must be a multiple of 16 and counts positive, got {counts}")
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "machine": {
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "processor": platform.processor() or platform.machine(),
        },
        "options": options.as_dict(),
        "loaders": [],
        "scale": [],
    }

    def keep(kind: str, row: Any) -> None:  # a run of minutes may be interrupted
        record[kind].append(asdict(row))
        write_atomically(output / "bench.json", json.dumps(record, indent=1) + "\n")
        write_atomically(output / "bench.md", _markdown(record))

    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        root = Path(options.data) if options.data else Path(temporary) / "photos"
        if not options.data:
            per_shard = max(1, options.num_images // _NUM_SHARDS)
            pack_dataset(
                root, photo_dataset(options.num_images), samples_per_shard=per_shard, progress=progress
            )
        loose = Path(temporary) / "loose"
        data = BenchData(root=root, loose=loose, size=options.size, batch_size=options.batch_size)
        write_loose_files(data)
        passes = len(LOADERS) * len(options.workers) * (options.rounds + 1)
        for row in loader_rows(data, options.workers, options.rounds, lambda: progress("load", 1, passes)):
            keep("loaders", row)
    for num_samples in options.samples:
        keep("scale", measure_scale(num_samples, output))
        progress("simulate", 1, len(options.samples))
    return f"{_markdown(record)}\nwrote {output / 'bench.md'} and bench.json"


def _numbers(value: str | list[int]) -> list[int]:
    names = names_of(value)
    if not all(map(str.isdecimal, names)):
        raise ValueError(f"workers and samples must be numbers, as 0,1,2, got {value}")
    return [int(name) for name in names]


def _markdown(record: dict[str, Any]) -> str:
    """Medians; "share" is of bare decoding with as many processes."""
    tables = []
    for rows in (record["loaders"], record["scale"]):
        if rows:
            heads = [name.replace("_", " ") for name in rows[0]]
            lines = [heads, ["---"] * len(heads), *([_cell(value) for value in row.values()] for row in rows)]
            tables.append("".join(f"| {' | '.join(line)} |\n" for line in lines))
    return "\n".join(tables)


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
