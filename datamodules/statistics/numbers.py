"""Many numbers in a few."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Distribution"]


@dataclass(frozen=True, kw_only=True)
class Distribution:
    """Mean and quantiles; all 0 where there are no numbers."""

    count: int
    mean: float
    min: float
    p5: float
    median: float
    p95: float
    max: float

    @classmethod
    def of(cls, values: np.ndarray) -> Distribution:
        if not len(values):
            return cls(count=0, mean=0.0, min=0.0, p5=0.0, median=0.0, p95=0.0, max=0.0)
        low, p5, median, p95, high = np.quantile(values, [0, 0.05, 0.5, 0.95, 1]).tolist()
        return cls(
            count=len(values), mean=float(np.mean(values)), min=low, p5=p5, median=median, p95=p95, max=high
        )
