"""Text conditioning: normalisation, null condition, pooled global condition, tokens for cross-attention.

Everything here runs once per step and in float32 (paper section 3.1; official ``TextAttentivePool``).
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.linear import linear
from infinity.precision import full_precision
from infinity.transformer.config import InfinityConfig
from infinity.types import TextStates

__all__ = ["AttentivePool", "Condition", "TextConditioner", "linear_fp32"]


def linear_fp32(x: Tensor, layer: nn.Linear) -> Tensor:
    """Apply a linear layer in float32, whatever its parameters are stored in."""
    return linear(x.float(), layer.weight.float(), layer.bias.float())


class Condition(NamedTuple):
    """What the blocks need to know of the text."""

    pooled_BC: Tensor  # global condition: start token, AdaLN of blocks and head
    tokens_BMC: Tensor  # keys and values of cross-attention come from these
    mask_BM: Tensor
    modulation_B6C: Tensor  # AdaLN of all blocks, before each block adds its own: gamma1, gamma2, scale1, ...


class AttentivePool(nn.Module):
    """Pool text states with one learned query (multi-head attention with a single query).

    As the query is the same for all samples, the key projection is folded into it and the value projection
    follows the pooling: the same function at a small part of the cost of projecting every text token.
    """

    NO_DECAY: ClassVar[frozenset[str]] = frozenset({"query"})

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.num_heads = config.pool_heads
        self.query = nn.Parameter(torch.empty(self.num_heads, config.width // self.num_heads))
        self.kv = nn.Linear(config.text_width, 2 * config.width, bias=False)
        self.v_bias = nn.Parameter(torch.empty(config.width))
        self.proj = nn.Linear(config.width, config.width)

    def forward(self, states_BME: Tensor, mask_BM: Tensor) -> Tensor:
        num_heads, head_dim = self.query.shape
        key_NKE, value_NKE = self.kv.weight.float().view(2, num_heads, head_dim, -1)
        query_NE = torch.einsum("nk,nke->ne", self.query.float(), key_NKE) * head_dim**-0.5
        scores_BMN = (states_BME @ query_NE.T).masked_fill(~mask_BM[..., None], -math.inf)
        pooled_BNE = scores_BMN.softmax(dim=1).transpose(1, 2) @ states_BME
        values_BC = torch.einsum("bne,nke->bnk", pooled_BNE, value_NKE).flatten(1) + self.v_bias.float()
        return linear_fp32(values_BC, self.proj)


class TextConditioner(nn.Module):
    """From text states to :class:`Condition`, with the learned null condition of classifier-free guidance."""

    NO_DECAY: ClassVar[frozenset[str]] = frozenset({"cfg_uncond"})

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.cfg_uncond = nn.Parameter(torch.empty(config.text_max_len, config.text_width))
        self.norm = nn.RMSNorm(config.text_width, eps=1e-6)
        self.pool = AttentivePool(config)
        self.fc1 = nn.Linear(config.text_width, config.width)
        self.fc2 = nn.Linear(config.width, config.width)
        self.shared_ada = nn.Linear(config.width, 6 * config.width)

    def null_states(self, mask_BM: Tensor) -> Tensor:
        """The null condition, as long as each caption (the official rule, in training and at inference)."""
        return self.cfg_uncond[: mask_BM.shape[1]].float().expand(len(mask_BM), -1, -1)

    def forward(self, text: TextStates, drop_B: Tensor | None = None) -> Condition:
        """Condition on `text`, except for samples where `drop_B` (bool) asks for the null condition."""
        states_BME, mask_BM = text
        max_len, width = self.cfg_uncond.shape
        if states_BME.shape[1] > max_len or states_BME.shape[2] != width:
            raise ValueError(
                f"text states must be (batch, at most {max_len} tokens, {width} channels), got "
                f"{tuple(states_BME.shape)}; use the text encoder that the model was configured for"
            )
        with full_precision(states_BME.device):
            states_BME = states_BME.float()
            if drop_B is not None:
                states_BME = torch.where(drop_B[:, None, None], self.null_states(mask_BM), states_BME)
            states_BME = F.rms_norm(
                states_BME, self.norm.normalized_shape, self.norm.weight.float(), self.norm.eps
            )
            pooled_BC = self.pool(states_BME, mask_BM)
            hidden_BMC = F.gelu(linear_fp32(states_BME, self.fc1), approximate="tanh")
            modulation_B6C = linear_fp32(F.silu(pooled_BC), self.shared_ada).unflatten(-1, (6, -1))
            return Condition(pooled_BC, linear_fp32(hidden_BMC, self.fc2), mask_BM, modulation_B6C)
