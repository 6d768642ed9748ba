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
    "block_linear_parameters",
    "block_matrix_parameters",
    "block_parameters",
    "classifier_parameters",
    "forward_flops",
    "logits_per_token",
    "num_parameters",
    "sampling_flops",
    "training_flops",
]


def block_matrix_parameters(config: InfinityConfig) -> int:
    """Parameters of the matrices of one block, those that Muon updates."""
    C, F = config.width, config.ffn_width
    return 4 * C * C + 4 * C * C + 2 * C * F


def block_linear_parameters(config: InfinityConfig) -> int:
    """Parameters of the linear layers of one block, biases included."""
    C, F = config.width, config.ffn_width
    self_attention = cross_attention = 3 * C
    return block_matrix_parameters(config) + self_attention + cross_attention + (F + C)


def block_parameters(config: InfinityConfig) -> int:
    """Parameters of one block."""
    temperatures, norm, modulation = config.num_heads, 2 * config.width, 6 * config.width
    return block_linear_parameters(config) + temperatures + norm + modulation


def classifier_parameters(config: InfinityConfig) -> int:
    """Parameters of the last linear layer: two rows per bit, or one per vocabulary index (paper Table 5)."""
    return (2 * config.token_bits if config.head == "bitwise" else 2**config.token_bits) * (config.width + 1)


def num_parameters(config: InfinityConfig) -> int:
    """Parameters of the whole transformer."""
    C, E, D = config.width, config.text_width, config.token_bits
    text = config.text_max_len * E + E + (2 * C * E + 3 * C + C * C) + (E * C + C) + (C * C + C)
    embeddings = C + (D * C + C) + config.max_scales * C
    modulation = (6 * C * C + 6 * C) + (2 * C * C + 2 * C)
    rest = text + embeddings + modulation + classifier_parameters(config)
    return config.depth * block_parameters(config) + rest


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
    """Query-key pairs: those that the block-causal mask allows or, given `attention`, those it computes.

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
        conditioning=pool + text + 2 * 6 * C * C + _head_modulation(config),
        embedding_and_head=2 * (L - schedule[0].area) * config.token_bits * C
        + 2 * L * C * logits_per_token(config),
    )


def training_flops(
    config: InfinityConfig,
    schedule: ScaleSchedule,
    num_text_tokens: int,
    *,
    attention: AttentionKind | None = None,
    recomputed: bool = False,
) -> int:
    """Operations of forward and backward on one image; `recomputed` adds checkpointing's second forward pass
    through the blocks.
    """
    forward = forward_flops(config, schedule, num_text_tokens, attention)
    blocks = forward.linear + forward.self_attention + forward.cross_attention
    return 3 * forward.total + (blocks if recomputed else 0)


def sampling_flops(
    config: InfinityConfig, schedule: ScaleSchedule, num_text_tokens: int, *, guided: bool
) -> int:
    """Operations of drawing one image with a cache: one forward pass, or two with guidance.

    The head modulates every scale anew.
    """
    forward = forward_flops(config, schedule, num_text_tokens).total
    return (2 if guided else 1) * (forward + (len(schedule) - 1) * _head_modulation(config))


def logits_per_token(config: InfinityConfig) -> int:
    """Logits that the head computes; a bit's two rows are subtracted before they are applied."""
    return config.token_bits if config.head == "bitwise" else 2**config.token_bits


def _head_modulation(config: InfinityConfig) -> int:
    return 2 * 2 * config.width**2
