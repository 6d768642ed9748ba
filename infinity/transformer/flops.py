"""Parameters and floating-point operations in closed form, for plans, scaling studies and utilisation.

Counted are matrix products, two operations per multiply-add; norms, activations and softmax are left out.
"""

from __future__ import annotations

from typing import NamedTuple

from infinity.attention import AttentionKind, split_groups
from infinity.schedules import ScaleSchedule
from infinity.transformer.config import InfinityConfig

__all__ = [
    "ForwardFlops",
    "attention_pairs",
    "block_parameters",
    "forward_flops",
    "num_parameters",
    "sampling_flops",
    "training_flops",
]


def block_parameters(config: InfinityConfig) -> int:
    """Parameters of one block."""
    C, F = config.width, config.ffn_width
    self_attention = 4 * C * C + 3 * C + config.num_heads
    cross_attention = 4 * C * C + 3 * C
    return self_attention + cross_attention + (2 * C * F + F + C) + 8 * C


def num_parameters(config: InfinityConfig) -> int:
    """Parameters of the whole transformer."""
    C, E, D = config.width, config.text_width, config.token_bits
    outputs = _num_outputs(config)
    text = config.text_max_len * E + E + (2 * C * E + 3 * C + C * C) + (E * C + C) + (C * C + C)
    embeddings = C + (D * C + C) + config.max_scales * C
    modulation = (6 * C * C + 6 * C) + (2 * C * C + 2 * C)
    head = outputs * C + outputs
    return config.depth * block_parameters(config) + text + embeddings + modulation + head


class ForwardFlops(NamedTuple):
    """Operations of one forward pass over one image."""

    linear: int  # of image tokens in the blocks
    self_attention: int  # scores and weighted sums
    cross_attention: int  # projections of text tokens, scores and weighted sums
    conditioning: int  # once per image: text, modulation
    embedding_and_head: int

    @property
    def total(self) -> int:
        return sum(self)


def attention_pairs(schedule: ScaleSchedule, attention: AttentionKind | None = None) -> int:
    """Pairs of query and key: those that the block-causal mask allows, or those that a way of attention
    computes.

    Sampling with a cache computes exactly the allowed ones.
    """
    if attention == "dense":
        return schedule.seq_len**2
    if attention == "split":
        return sum((end - start) * end for start, end in split_groups(schedule))
    return sum(scale.area * end for scale, end in zip(schedule, schedule.offsets[1:], strict=True))


def forward_flops(
    config: InfinityConfig,
    schedule: ScaleSchedule,
    num_text_tokens: int,
    attention: AttentionKind | None = None,
) -> ForwardFlops:
    """Operations of a forward pass; with `attention` given, what it executes rather than what is needed."""
    C, E, F, L, M = config.width, config.text_width, config.ffn_width, schedule.seq_len, num_text_tokens
    pool = 2 * C * E + 2 * config.pool_heads * M * E * 2 + 2 * C * E + 2 * C * C
    text = 2 * M * (E * C + C * C)
    return ForwardFlops(
        linear=config.depth * 2 * L * (6 * C * C + 2 * C * F),
        self_attention=config.depth * 4 * C * attention_pairs(schedule, attention),
        cross_attention=config.depth * (2 * M * 2 * C * C + 4 * C * L * M),
        conditioning=pool + text + 2 * 6 * C * C + 2 * 2 * C * C,
        embedding_and_head=2 * (L - schedule[0].area) * config.token_bits * C
        + 2 * L * C * _classified(config),
    )


def training_flops(
    config: InfinityConfig, schedule: ScaleSchedule, num_text_tokens: int, *, recomputed: bool = False
) -> int:
    """Operations of forward and backward on one image; `recomputed` adds checkpointing's second forward."""
    return (4 if recomputed else 3) * forward_flops(config, schedule, num_text_tokens).total


def sampling_flops(
    config: InfinityConfig, schedule: ScaleSchedule, num_text_tokens: int, *, guided: bool
) -> int:
    """Operations of drawing one image with a cache: one forward pass, or two with guidance."""
    return (2 if guided else 1) * forward_flops(config, schedule, num_text_tokens).total


def _num_outputs(config: InfinityConfig) -> int:
    return 2 * config.token_bits if config.head == "bitwise" else 2**config.token_bits


def _classified(config: InfinityConfig) -> int:
    """Logits per token: a bit's two rows are subtracted before they are applied."""
    return config.token_bits if config.head == "bitwise" else 2**config.token_bits
