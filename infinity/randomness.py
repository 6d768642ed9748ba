"""Random numbers for a batch, the same however many processes share the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["BatchShare", "Randomness", "uniform"]


@dataclass(frozen=True)
class BatchShare:
    """The random numbers of samples `start`, `start` + 1, .. of a global batch of `total` samples.

    Numbers are drawn for the global batch and cut, so that ranks with equal generators see together what one
    process with the whole batch would see.
    """

    generator: torch.Generator
    start: int
    total: int

    @property
    def device(self) -> torch.device:
        return self.generator.device


Randomness = torch.Generator | BatchShare
"""Where random numbers come from."""


def uniform(shape: Sequence[int], source: Randomness, *, batch_dim: int | None = 0) -> Tensor:
    """Uniform numbers in [0, 1) of `shape`, on the generator's device.

    Args:
        batch_dim: the dimension that counts samples; None for numbers that the whole global batch shares.
    """
    if isinstance(source, torch.Generator) or batch_dim is None:
        generator = source if isinstance(source, torch.Generator) else source.generator
        return torch.rand(tuple(shape), generator=generator, device=generator.device)
    whole = list(shape)
    whole[batch_dim] = source.total
    noise = torch.rand(whole, generator=source.generator, device=source.device)
    return noise.narrow(batch_dim, source.start, shape[batch_dim])
