"""Timings that can be compared: candidates take turns within one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

__all__ = ["Run", "interleave_medians", "timed"]

Run = Callable[[], float]
"""Does the work once and returns the seconds that it took."""


def timed(work: Callable[[], Any], device: torch.device) -> Run:
    """A :data:`Run` of work in this process; it waits for the device."""

    def run() -> float:
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - start

    return run


def interleave_medians(runs: Mapping[str, Run], rounds: int, *, warmup: int = 1) -> dict[str, float]:
    """Median seconds of every run, in rounds a, b, c, a, b, c, .. after `warmup` rounds that are not counted.

    A machine that slows down for a while then slows all candidates, not one.
    """
    if rounds < 1:
        raise ValueError(f"a median needs at least one round, got {rounds}")
    for _ in range(warmup):
        for run in runs.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    return {name: statistics.median(taken) for name, taken in seconds.items()}
