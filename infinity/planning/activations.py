"""Bytes of activations: what a training step keeps for its backward pass, and what drawing works on.

Derived from the modules, operation by operation; tests compare with the tensors that autograd saves and with
the most bytes that are ever alive while images are drawn. Attention is taken to be a fused kernel, which
keeps queries, keys, values, outputs and one number per query: PyTorch's for float32 on CPUs and for every
precision on GPUs.
"""

from __future__ import annotations

from infinity.attention import split_groups
from infinity.planning.options import PlanOptions
from infinity.schedules import ScaleSchedule
from infinity.transformer.config import InfinityConfig
from infinity.transformer.flops import logits_per_token

__all__ = ["drawing_activations", "training_activations"]

_FLOAT = 4
_DRAWN = 29  # bytes per logit: plain, scaled, as probability, its index, removed or not, cumulated, masked


def training_activations(config: InfinityConfig, schedule: ScaleSchedule, options: PlanOptions) -> int:
    """Bytes that the backward pass of one batch needs."""
    C, E, L, M = config.width, config.text_width, schedule.seq_len, options.text_length
    block = _block_activations(config, schedule, options)
    if options.checkpointing == "block":
        blocks = config.depth * options.batch_size * L * C * _FLOAT + block
    else:
        blocks = config.depth * block
    text = M * (2 * E + 3 * C)  # states, normalised; hidden layer before and after GELU; tokens
    embedded = (L - schedule[0].area) * config.token_bits
    head = 3 * L * C  # input, normalised, modulated; its logits are counted by themselves
    return blocks + options.batch_size * _FLOAT * (text + embedded + head)


def _block_activations(config: InfinityConfig, schedule: ScaleSchedule, options: PlanOptions) -> int:
    """Bytes that the backward pass of one block needs."""
    C, F, N, L, M = config.width, config.ffn_width, config.num_heads, schedule.seq_len, options.text_length
    linear = options.linear_bytes
    cast = linear != _FLOAT
    num_masked, num_parts = _attention_parts(config, schedule)
    modulated = (2 * _FLOAT + linear) * C  # residual stream, normalised, what the linear layer reads
    qkv = 3 * linear * C + (2 * _FLOAT * C if cast else 0)  # with queries and keys in float32
    rotated = 2 * linear * C + 3 * 2 * N * _FLOAT  # with norms of queries and keys, clamped, as gains
    attended = linear * C * (1 if num_parts == 1 else 2) + N * _FLOAT  # parts and the whole
    self_attention = modulated + qkv + rotated + attended + _FLOAT * C
    cross_attention = (_FLOAT + 3 * linear) * C + N * _FLOAT  # stream, normalised, queries, outputs
    feed_forward = modulated + 2 * linear * F + _FLOAT * C
    norms = 3 * 2 * _FLOAT
    text = (2 + cast) * linear * M * C  # keys, values and, where they are cast, the tokens themselves
    image = L * (self_attention + cross_attention + feed_forward + norms) + text
    return options.batch_size * image + linear * num_masked**2


def drawing_activations(config: InfinityConfig, schedule: ScaleSchedule, options: PlanOptions) -> int:
    """Bytes of one batch at the largest moment of the last scale, cached keys and values aside."""
    C, E, F = config.width, config.text_width, config.ffn_width
    L, last, M = schedule.seq_len, schedule.final.area, options.text_length
    linear = options.linear_bytes
    stream = 2 * _FLOAT * C  # what the first block read, and what this one does
    modulated = _FLOAT * C
    qkv = 3 * linear * C
    copied = 2 * _FLOAT * C if linear != _FLOAT else 0
    rotation = last * (stream + modulated + qkv + copied + 4 * 2 * _FLOAT * C)
    attention = last * (stream + modulated + qkv + 3 * linear * C) + 2 * linear * C * L
    feed_forward = last * (stream + 3 * modulated + linear * C + 2 * linear * F)
    scale_embedding = last * C * _FLOAT
    block = options.num_sequences * max(rotation, attention, feed_forward) + scale_embedding
    draw = options.batch_size * last * logits_per_token(config) * _DRAWN
    text = options.num_sequences * M * (E + C) * _FLOAT
    return max(block, draw) + text


def _attention_parts(config: InfinityConfig, schedule: ScaleSchedule) -> tuple[int, int]:
    """Tokens under a mask, which becomes numbers, and the number of calls of attention."""
    if config.attention == "flex":
        return 0, 1
    groups = split_groups(schedule) if config.attention == "split" else ((0, schedule.seq_len),)
    first_end = groups[0][1]
    return (first_end if first_end > schedule[0].area else 0), len(groups)
