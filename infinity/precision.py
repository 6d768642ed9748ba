"""Where numbers must not be rounded to half precision, and where it costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

__all__ = ["bfloat16_products", "full_precision"]


def full_precision(device: torch.device) -> AbstractContextManager:
    """Within the context, autocast is off: operations keep the dtype of their inputs."""
    if device.type == "meta":  # has no autocast
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


@contextmanager
def bfloat16_products() -> Iterator[None]:
    """Within the context, CPUs may round float32 operands of matrix products to bfloat16.

    Sums stay in float32. So for operands that come from bfloat16 the products are exact, and twice as fast
    where the processor multiplies bfloat16.
    """
    flags = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = flags.fp32_precision
    flags.fp32_precision = "bf16"
    try:
        yield
    finally:
        flags.fp32_precision = before
