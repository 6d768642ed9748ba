"""``python -m evaluation bench``: measure, print as it goes, keep JSON and a Markdown table."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import Progress

from evaluation.bench.measure import Row, cache_row, part_rows, quantizer_rows
from evaluation.bench.official import OfficialCode
from evaluation.bench.parts import PARTS, Bench, MakeBench
from infinity.atomic import write_atomically
from infinity.devices import check_device

__all__ = ["bench_command"]

_HEADS = ("part", "batch", "precision", "seconds", "compiled", "floor", "share", "official", "ratio", "MiB")


def bench_command(
    *,
    output: Path,
    parts: Sequence[str],
    batch_sizes: Sequence[int],
    precisions: Sequence[str],
    rounds: int,
    device: str,
    compiled: bool,
    quantizers: bool,
    official: Path | None,
    make_bench: MakeBench = Bench.official_size,
) -> str:
    """Run the benchmark; returns the table and where it is."""
    if unknown := sorted(set(parts) - PARTS.keys()):
        raise ValueError(f"unknown part {unknown[0]!r}; expected some of {', '.join(PARTS)}")
    if min(batch_sizes) < 1 or rounds < 1:
        raise ValueError(f"batch sizes and rounds must be positive, got {list(batch_sizes)} and {rounds}")
    check_device(device)
    place = torch.device(device)
    peer = None if official is None else OfficialCode(official)
    rows: list[Row] = []
    machine = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": platform.processor() or platform.machine(),
        "device": device,
    }

    def keep(row: Row) -> None:  # a run of many minutes may be interrupted
        rows.append(row)
        record = {"machine": machine, "rounds": rounds, "rows": [row.to_dict() for row in rows]}
        write_atomically(output / "bench.json", json.dumps(record, indent=2) + "\n")
        write_atomically(output / "bench.md", _markdown(rows))

    benches = [
        make_bench(batch_size, precision == "bfloat16", place)
        for batch_size in batch_sizes
        for precision in precisions
    ]
    with Progress() as progress:
        task = progress.add_task("parts", total=len(benches) * (len(parts) + 1))
        for bench in benches:
            for row in part_rows(bench, parts, rounds=rounds, official=peer, compiled=compiled):
                keep(row)
                progress.advance(task)
            keep(cache_row(bench, rounds))
            progress.advance(task)
    if quantizers:
        for row in quantizer_rows(batch_size=2, rounds=rounds, official=peer):
            keep(row)
    if peer is not None:
        peer.close()
    return f"{_markdown(rows)}\nwrote {output / 'bench.md'} and bench.json"


def _cells(row: Row) -> list[str]:
    def shown(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return [
        row.part,
        str(row.batch_size),
        row.precision,
        f"{row.seconds:.4g}",
        shown(row.compiled, ".4g"),
        shown(row.floor, ".4g"),
        shown(row.share, ".0%"),
        shown(row.official, ".4g"),
        shown(row.ratio, ".2f"),
        "" if row.bytes is None else f"{row.bytes / 2**20:.1f}",
    ]


def _markdown(rows: Sequence[Row]) -> str:
    """Medians in seconds; "ratio" is the official time over the better of ours, "share" the floor over it."""
    lines = [_HEADS, ["---"] * len(_HEADS), *map(_cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
