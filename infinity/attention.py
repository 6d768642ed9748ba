"""Block-causal attention over scales: the one place that knows attention kernels.

A token of scale k sees all tokens of scales 1..k. Three exact ways to compute that:

``split``  a plain SDPA call per scale against the keys of all scales up to it: no mask, runs on every device.
           The first small scales share one masked call, where a call costs more than the work it saves.
``flex``   FlexAttention with a block mask (CUDA; needs compilation to be fast).
``dense``  one SDPA call with an L x L mask: the slow twin that tests compare with.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

from infinity.precision import bfloat16_products, full_precision
from infinity.schedules import ScaleSchedule

__all__ = [
    "AttentionKind",
    "AttentionPlan",
    "attend",
    "attention_plan",
    "block_causal_mask",
    "scale_of_token",
    "softmax_attention",
    "split_groups",
]

AttentionKind = Literal["split", "flex", "dense"]

MERGE_TOKENS = 128  # scales that end within the first so many tokens share one masked call
_FEW_SCORES = 1024  # per head: up to so many, the fused kernel is faster in sampling
_MAX_SCORES = 2**26  # at a time, of all heads


class AttentionPlan(NamedTuple):
    """How to attend over one schedule on one device."""

    groups: tuple[
        tuple[int, int, Tensor | None], ...
    ]  # query start, query = key end, mask (bool, True = visible)
    block_mask: Any  # FlexAttention's BlockMask for "flex", else None


def split_groups(schedule: ScaleSchedule, merge_tokens: int = MERGE_TOKENS) -> tuple[tuple[int, int], ...]:
    """Query ranges of the split path: one per scale, after one for all scales within the first tokens."""
    merged = max(end for end in schedule.offsets if end <= merge_tokens)  # 0 if the first scale is larger
    bounds = sorted({0, *(end for end in schedule.offsets if end >= merged)})
    return tuple(itertools.pairwise(bounds))


@torch.compiler.assume_constant_result
def scale_of_token(schedule: ScaleSchedule, device: torch.device) -> Tensor:
    """Number (from 0) of the scale that every token belongs to (L,), computed once per (schedule, device)."""
    return _scale_of_token(schedule, device)


def block_causal_mask(schedule: ScaleSchedule, length: int, device: torch.device) -> Tensor:
    """Mask (length, length) of the first tokens: True where the key's scale is not after the query's."""
    scale_L = scale_of_token(schedule, device)[:length]
    return scale_L[:, None] >= scale_L[None, :]


@torch.compiler.assume_constant_result
def attention_plan(schedule: ScaleSchedule, kind: AttentionKind, device: torch.device) -> AttentionPlan:
    """Plan for training on whole sequences, made once per (schedule, kind, device)."""
    return _attention_plan(schedule, kind, device)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a cached tensor may be trained with later
def _scale_of_token(schedule: ScaleSchedule, device: torch.device) -> Tensor:
    areas = torch.tensor([scale.area for scale in schedule])
    return torch.arange(len(schedule)).repeat_interleave(areas).to(device)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a cached tensor may be trained with later
def _attention_plan(schedule: ScaleSchedule, kind: AttentionKind, device: torch.device) -> AttentionPlan:
    if kind == "flex":
        return AttentionPlan((), _flex_block_mask(schedule, device))
    ranges = split_groups(schedule) if kind == "split" else ((0, schedule.seq_len),)
    first_area = schedule[0].area
    groups = tuple(
        (start, end, block_causal_mask(schedule, end, device) if start == 0 and end > first_area else None)
        for start, end in ranges
    )
    return AttentionPlan(groups, None)


def softmax_attention(
    q_BNLK: Tensor, k_BNMK: Tensor, v_BNMK: Tensor, mask: Tensor | None, scale: float
) -> Tensor:
    """Softmax attention by the fastest exact kernel; `mask` is bool and broadcasts to (B, N, L, M).

    PyTorch's fused kernel for CPUs is slow in bfloat16, so there the products are written out, unless there
    are few. Forward and backward together, of 8 heads of 96 channels, the fused one takes 5.2 times as long
    at 21 tokens, 3.0 at 130 and 2.1 at 521 (one thread of an EPYC); forward alone, 1.2 times as long from 36
    tokens to 57 and 1.5 to 2 times from 256 to 521.
    """
    written_out = q_BNLK.device.type == "cpu" and q_BNLK.dtype == torch.bfloat16
    if written_out and torch.is_grad_enabled():
        return cast("Tensor", _WrittenOut.apply(q_BNLK, k_BNMK, v_BNMK, mask, scale))
    if written_out and q_BNLK.shape[-2] * k_BNMK.shape[-2] > _FEW_SCORES:
        return _in_chunks(q_BNLK, k_BNMK, v_BNMK, mask, scale)
    return F.scaled_dot_product_attention(q_BNLK, k_BNMK, v_BNMK, attn_mask=mask, scale=scale)


def _in_chunks(q_BNLK: Tensor, k_BNMK: Tensor, v_BNMK: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Written out, in chunks of queries: memory for scores is bounded."""
    num_scores = q_BNLK[..., 0].numel() * k_BNMK.shape[-2]
    queries = q_BNLK.chunk(-(-num_scores // _MAX_SCORES), dim=-2)
    masks: Sequence[Tensor | None] = [mask] * len(queries)
    if mask is not None and mask.shape[-2] > 1:
        masks = mask.chunk(len(queries), dim=-2)
    outputs = [
        _weights(some, k_BNMK, their_mask, scale) @ v_BNMK
        for some, their_mask in zip(queries, masks, strict=True)
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=-2)


def _weights(q_BNLK: Tensor, k_BNMK: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """Softmax weights of bfloat16 tensors, from scores in float32 as fused kernels have them.

    Rounded to bfloat16, scores would be off by up to 1/4 at the highest temperature of cosine attention, 100;
    errors of outputs and gradients would be 3 to 6 times the fused kernel's at temperature 30, 7 to 13 times
    at 100.
    """
    scores_BNLM = torch.ops.infinity.bfloat16_scores(q_BNLK, k_BNMK)
    if scale != 1.0:
        scores_BNLM *= scale
    if mask is not None:
        scores_BNLM = scores_BNLM.masked_fill(~mask, -math.inf)
    return scores_BNLM.softmax(dim=-1).to(q_BNLK.dtype)


class _WrittenOut(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q_BNLK: Tensor, k_BNMK: Tensor, v_BNMK: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        weights_BNLM = _weights(q_BNLK, k_BNMK, mask, scale)
        ctx.save_for_backward(q_BNLK, k_BNMK, v_BNMK, weights_BNLM)
        ctx.scale = scale
        return weights_BNLM @ v_BNMK

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BNLK: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        q_BNLK, k_BNMK, v_BNMK, weights_BNLM = ctx.saved_tensors
        grad_BNLM = torch.ops.aten._softmax_backward_data(
            grad_BNLK @ v_BNMK.transpose(-2, -1), weights_BNLM, -1, weights_BNLM.dtype
        )
        grad_q_BNLK = grad_BNLM @ k_BNMK * ctx.scale
        grad_k_BNMK = grad_BNLM.transpose(-2, -1) @ q_BNLK * ctx.scale
        return grad_q_BNLK, grad_k_BNMK, weights_BNLM.transpose(-2, -1) @ grad_BNLK, None, None


torch.library.define("infinity::bfloat16_scores", "(Tensor q, Tensor k) -> Tensor")


@torch.library.impl("infinity::bfloat16_scores", "CPU")
def _bfloat16_scores(q_BNLK: Tensor, k_BNMK: Tensor) -> Tensor:
    # an operator of our own, as a compiler must not see how precision is switched
    with full_precision(q_BNLK.device), bfloat16_products():
        return q_BNLK.float() @ k_BNMK.float().transpose(-2, -1)


@torch.library.register_fake("infinity::bfloat16_scores")
def _fake_scores(q_BNLK: Tensor, k_BNMK: Tensor) -> Tensor:
    return q_BNLK.new_empty(*q_BNLK.shape[:-1], k_BNMK.shape[-2], dtype=torch.float32)


@register_flop_formula(torch.ops.infinity.bfloat16_scores)
def _score_flops(q_shape: torch.Size, k_shape: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * q_shape.numel() * k_shape[-2]


def attend(q_BNLK: Tensor, k_BNLK: Tensor, v_BNLK: Tensor, plan: AttentionPlan) -> Tensor:
    """Block-causal attention with softmax scale 1 (queries carry their temperature already)."""
    if plan.block_mask is not None:
        return _flex_attention()(q_BNLK, k_BNLK, v_BNLK, block_mask=plan.block_mask, scale=1.0)
    outputs = [
        softmax_attention(q_BNLK[:, :, start:end], k_BNLK[:, :, :end], v_BNLK[:, :, :end], mask, 1.0)
        for start, end, mask in plan.groups
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def _flex_block_mask(schedule: ScaleSchedule, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    scale_L = scale_of_token(schedule, device)

    def visible(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return scale_L[query] >= scale_L[key]

    length = schedule.seq_len
    return create_block_mask(visible, B=None, H=None, Q_LEN=length, KV_LEN=length, device=str(device))


@lru_cache(maxsize=1)
def _flex_attention():
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=False) if torch.cuda.is_available() else flex_attention
