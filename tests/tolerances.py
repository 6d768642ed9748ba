"""The one table of tolerances, for ``torch.testing.assert_close(actual, expected, **TOL[actual.dtype])``.

They bound the rounding of two correct ways to compute one thing (another order of summation, a fused kernel),
not an approximation; a test of an approximation states its own bound and why.
"""

from __future__ import annotations

import torch

TOL: dict[torch.dtype, dict[str, float]] = {
    torch.float64: {"rtol": 1e-9, "atol": 1e-10},
    torch.float32: {"rtol": 1e-4, "atol": 1e-5},
    torch.bfloat16: {"rtol": 2e-2, "atol": 1e-2},
}
