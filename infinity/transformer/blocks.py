"""The transformer block: cosine self-attention, cross-attention to text, feed-forward, shared AdaLN.

The residual stream and everything that modulates it are float32; the linear layers run in the dtype of their
weights, or in autocast's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.attention import softmax_attention
from infinity.linear import Linear
from infinity.rope2d import RopeTables, rotate
from infinity.transformer.config import InfinityConfig

__all__ = ["Attend", "Block", "CrossAttention", "FeedForward", "KeysValues", "SelfAttention", "modulate"]

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Self-attention of q, k, v (B, N, L, K): over a whole sequence in training, over a cache in sampling."""

_NORM_EPS = 1e-6
_MAX_LOG_TEMPERATURE = math.log(100)


class KeysValues(NamedTuple):
    """Keys and values of the text tokens for one block."""

    k_BNMK: Tensor
    v_BNMK: Tensor


def modulate(x_BLC: Tensor, scale_B1C: Tensor, shift_B1C: Tensor) -> Tensor:
    """Layer-norm without affine parameters, then ``* (1 + scale) + shift``, in float32."""
    normed = F.layer_norm(x_BLC.float(), x_BLC.shape[-1:], eps=_NORM_EPS)
    return torch.addcmul(shift_B1C, normed, scale_B1C + 1)


class SelfAttention(nn.Module):
    """Cosine attention: unit queries and keys, a learned temperature per head, RoPE after normalisation."""

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.qkv = Linear(config.width, 3 * config.width, bias=False)
        self.q_bias = nn.Parameter(torch.empty(config.width))
        self.v_bias = nn.Parameter(torch.empty(config.width))
        self.log_temperature = nn.Parameter(torch.empty(config.num_heads))
        self.proj = Linear(config.width, config.width)

    def forward(self, x_BLC: Tensor, rope: RopeTables, attend: Attend) -> Tensor:
        bias = torch.cat(
            [self.q_bias, torch.zeros_like(self.q_bias), self.v_bias]
        )  # a key bias would not be neutral
        qkv = self.qkv(x_BLC.to(self.qkv.weight.dtype), bias).unflatten(-1, (3, self.num_heads, -1))
        qk_BLSNK, v_BLNK = qkv[:, :, :2].float(), qkv[:, :, 2]
        temperature_N = self.log_temperature.float().clamp_max(_MAX_LOG_TEMPERATURE).exp()
        gain_SN1 = torch.stack([temperature_N, torch.ones_like(temperature_N)])[..., None]
        norm = torch.linalg.vector_norm(qk_BLSNK, dim=-1, keepdim=True).clamp_min(1e-12)
        qk_BLSNK = rotate(qk_BLSNK * (gain_SN1 / norm), rope).to(v_BLNK.dtype)
        q_BNLK, k_BNLK = qk_BLSNK.permute(2, 0, 3, 1, 4).unbind(0)
        out_BNLK = attend(q_BNLK, k_BNLK, v_BLNK.transpose(1, 2))
        return self.proj(out_BNLK.transpose(1, 2).flatten(2))


class CrossAttention(nn.Module):
    """Plain softmax attention from image tokens to text tokens."""

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q = Linear(config.width, config.width)
        self.kv = Linear(config.width, 2 * config.width, bias=False)
        self.v_bias = nn.Parameter(torch.empty(config.width))
        self.proj = Linear(config.width, config.width)

    def keys_values(self, tokens_BMC: Tensor) -> KeysValues:
        """Project text tokens once; the result serves all scales."""
        bias = torch.cat([torch.zeros_like(self.v_bias), self.v_bias])
        kv = self.kv(tokens_BMC.to(self.kv.weight.dtype), bias).unflatten(-1, (2, self.num_heads, -1))
        return KeysValues(*kv.permute(2, 0, 3, 1, 4).unbind(0))

    def forward(self, x_BLC: Tensor, text: KeysValues, mask_B11M: Tensor) -> Tensor:
        q_BNLK = self.q(x_BLC.to(self.q.weight.dtype)).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
        scale = q_BNLK.shape[-1] ** -0.5
        out_BNLK = softmax_attention(q_BNLK, text.k_BNMK, text.v_BNMK, mask_B11M, scale)
        return self.proj(out_BNLK.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with GELU (tanh form) between them."""

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.fc1 = Linear(config.width, config.ffn_width)
        self.fc2 = Linear(config.ffn_width, config.width)

    def forward(self, x_BLC: Tensor) -> Tensor:
        return self.fc2(self.fc1.gelu(x_BLC.to(self.fc1.weight.dtype)))


class Block(nn.Module):
    """One block; `ada_gss` (gamma1, gamma2, scale1, ...) is added to the modulation that all blocks share."""

    NO_DECAY: ClassVar[frozenset[str]] = frozenset({"ada_gss"})

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.cross_attn = CrossAttention(config)
        self.cross_norm = nn.LayerNorm(config.width, eps=_NORM_EPS)
        self.ffn = FeedForward(config)
        self.ada_gss = nn.Parameter(torch.empty(6, config.width))

    def forward(
        self,
        x_BLC: Tensor,
        modulation_B6C: Tensor,
        text: KeysValues | Tensor,
        mask_B11M: Tensor,
        rope: RopeTables,
        attend: Attend,
        keep_2B: Tensor | None = None,
    ) -> Tensor:
        """Transform the residual stream (float32).

        Args:
            text: keys and values of this block, or the text tokens (B, M, C) to project.
            keep_2B: stochastic depth: factor of the two gated branches per sample, 0 or 1 / (1 - rate).
        """
        modulation = (self.ada_gss.float() + modulation_B6C)[:, :, None].unbind(1)
        gamma1_B1C, gamma2_B1C, scale1_B1C, scale2_B1C, shift1_B1C, shift2_B1C = modulation
        if keep_2B is not None:
            gamma1_B1C, gamma2_B1C = (
                gamma1_B1C * keep_2B[0, :, None, None],
                gamma2_B1C * keep_2B[1, :, None, None],
            )
        if isinstance(text, Tensor):
            text = self.cross_attn.keys_values(text)
        update_BLC = self.self_attn(modulate(x_BLC, scale1_B1C, shift1_B1C), rope, attend)
        x_BLC = torch.addcmul(x_BLC, update_BLC.float(), gamma1_B1C)
        norm = self.cross_norm
        normed_BLC = F.layer_norm(
            x_BLC, norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps
        )
        x_BLC = x_BLC + self.cross_attn(normed_BLC, text, mask_B11M)
        update_BLC = self.ffn(modulate(x_BLC, scale2_B1C, shift2_B1C))
        return torch.addcmul(x_BLC, update_BLC.float(), gamma2_B1C)
