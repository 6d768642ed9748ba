from __future__ import annotations

import torch

from evaluation.bench.quantizers import peak_bytes, quantizer_work
from infinity.schedules import build_schedule


def test_peak_bytes_count_what_is_held_at_once() -> None:
    def work() -> None:
        first = torch.empty(1 << 20, dtype=torch.uint8)
        del first
        second = torch.empty(1 << 21, dtype=torch.uint8)
        third = torch.empty(1 << 20, dtype=torch.uint8)
        del second, third

    assert 3 << 20 <= peak_bytes(work) < (3 << 20) + (1 << 16)


def test_bsq_grows_with_the_bits_and_lfq_with_the_vocabulary() -> None:
    schedule = build_schedule(1.0, (1, 2, 4, 8))
    peaks = {
        (kind, bits): peak_bytes(quantizer_work(kind, bits, 2, schedule))
        for kind, widths in {"bsq": (8, 32), "lfq": (6, 12)}.items()
        for bits in widths
    }
    assert peaks["bsq", 32] < 6 * peaks["bsq", 8]
    assert peaks["lfq", 12] > 20 * peaks["lfq", 6]
