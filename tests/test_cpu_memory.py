from __future__ import annotations

import resource
import sys

import pytest
import torch

from infinity.cpu_memory import keep_freed_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is tuned")
def test_a_freed_tensor_is_reused_without_page_faults() -> None:
    assert keep_freed_memory()
    pages = 4096
    for _ in range(16):  # let the heap grow
        torch.ones(pages * 1024)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.ones(pages * 1024)  # 16 MiB: 4096 pages
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < pages
