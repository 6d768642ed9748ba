"""Time and memory of quantizers with their losses, over the number of bits (paper Table 3)."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch.profiler import ProfilerActivity, profile

from infinity.quantizers import build_quantizer
from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import ScaleSchedule

__all__ = ["peak_bytes", "quantizer_work"]


def quantizer_work(
    kind: Literal["bsq", "lfq"], num_bits: int, batch_size: int, schedule: ScaleSchedule
) -> Callable[[], Any]:
    """Code features of all scales of a schedule and backpropagate the sum of losses, in float32."""
    quantizer = build_quantizer(QuantizerConfig(kind=kind, num_bits=num_bits)).train()
    generator = torch.Generator().manual_seed(0)
    features_BDHW = torch.randn(
        batch_size, num_bits, *schedule.final, generator=generator, requires_grad=True
    )

    def work() -> None:
        codes = quantizer(features_BDHW, schedule)
        (codes.features_BDHW.square().mean() + sum(codes.losses.values())).backward()
        features_BDHW.grad = None

    return work


def peak_bytes(work: Callable[[], Any]) -> int:
    """Most bytes that `work` holds at once beside its inputs, by the profiler's record of CPU allocations."""
    work()
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # it complains of every machine without a GPU
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        work()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        record.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    steps = [event for event in events if event.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(steps, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak
