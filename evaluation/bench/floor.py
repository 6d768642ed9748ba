"""The least time that a part could take here: its matrix products at the machine's measured rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from evaluation.bench.timing import timed
from infinity.linear import linear

__all__ = ["matrix_flops", "matrix_rate"]

_EDGE = 2048
_ROUNDS = 7


@cache
def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations per second of a square matrix product, the best of two libraries."""
    a, b = (torch.randn(_EDGE, _EDGE, device=device).to(dtype) for _ in range(2))
    runs = [timed(lambda: torch.mm(a, b), device), timed(lambda: linear(a, b), device)]
    return 2 * _EDGE**3 / min(run() for run in runs for _ in range(_ROUNDS))


def matrix_flops(work: Callable[[], Any]) -> int:
    """Operations of all matrix products, convolutions and attentions in `work`, by PyTorch's counter."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()
