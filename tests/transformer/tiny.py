"""A transformer of a few thousand parameters and texts for it."""

from __future__ import annotations

from typing import Any

import torch

from infinity.schedules import ScaleSchedule, build_schedule
from infinity.transformer import Infinity, InfinityConfig
from infinity.types import TextStates

SQUARE = build_schedule(1.0, (1, 2, 4))
WIDE = ScaleSchedule(((1, 1), (1, 2), (2, 3), (3, 5)))


def tiny_model(**options: Any) -> Infinity:
    """A model whose blocks are far from the identity, so that a wrong wire shows."""
    defaults = {"depth": 2, "width": 32, "num_heads": 2, "token_bits": 6, "text_width": 24, "text_max_len": 8}
    model = Infinity(InfinityConfig(**{**defaults, **options}))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape) / max(1, parameter.shape[-1]) ** 0.5)
    return model.eval()


def tiny_text(lengths: tuple[int, ...] = (3, 5), width: int = 24) -> TextStates:
    """Random states of captions of some lengths."""
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return TextStates(torch.randn(*mask.shape, width) * mask[..., None], mask)


def tiny_inputs(schedule: ScaleSchedule, batch_size: int = 2, num_bits: int = 6) -> torch.Tensor:
    """Random running sums of scales 2..K."""
    return torch.randn(batch_size, schedule.seq_len - schedule[0].area, num_bits) / num_bits**0.5
