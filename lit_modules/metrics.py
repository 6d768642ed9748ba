"""Averages of logged quantities, right under DDP and for batches of different size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

__all__ = ["NamedMeans"]


class NamedMeans(Metric):
    """Weighted means of many named quantities (per scale, per bit, ...); ranks share them in one message."""

    full_state_update = False
    sums_N: Tensor
    weight: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("sums_N", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("weight", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Mapping[str, Tensor], weight: int) -> None:
        """Add the means over a batch of `weight` samples."""
        if values.keys() != set(self.names):
            raise ValueError(f"expected {', '.join(self.names)}, got {', '.join(values)}")
        values_N = torch.stack([values[name].detach().to(self.sums_N) for name in self.names])
        self.sums_N += weight * values_N
        self.weight += weight

    def compute(self) -> dict[str, Tensor]:
        means_N = (self.sums_N / self.weight).float()
        return dict(zip(self.names, means_N.unbind(), strict=True))
