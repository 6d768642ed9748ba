"""Reuse the memory of freed CPU tensors instead of returning it to the system."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h
_LARGEST_KEPT = (1 << 30, 32 << 20)  # bytes; before 2.35 glibc takes no more than the second


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed blocks; returns whether it agreed.

    By default glibc maps every larger tensor anew, and a training step spends a tenth (float32) to a quarter
    (bfloat16) of its time on page faults. The price: a process never shrinks below its peak.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is None:
        return False
    kept = any(mallopt(_M_MMAP_THRESHOLD, largest) for largest in _LARGEST_KEPT)
    return bool(mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)) and kept
