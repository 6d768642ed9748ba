"""Classifiers over the next scale's bits: one logit per bit, or one per vocabulary index.

The paper's infinite-vocabulary classifier predicts every bit of a token by itself (section 3.3): D outputs
instead of 2**D. Only the difference of a bit's two official logits matters, so a logit here is l1 - l0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.linear import linear
from infinity.precision import full_precision
from infinity.quantizers.bits import pack_ids, unpack_ids
from infinity.transformer.blocks import modulate
from infinity.transformer.conditioning import linear_fp32
from infinity.transformer.config import InfinityConfig

__all__ = ["BitwiseHead", "Head", "IndexHead", "build_head", "uniform_noise"]


class Head(nn.Module, ABC):
    """Modulated layer-norm, then a linear classifier, in float32; subclasses say what the outputs mean."""

    def __init__(self, config: InfinityConfig, num_outputs: int) -> None:
        super().__init__()
        self.token_bits = config.token_bits
        self.ada = nn.Linear(config.width, 2 * config.width)
        self.proj = nn.Linear(config.width, num_outputs)

    def forward(self, x_BLC: Tensor, pooled_BC: Tensor) -> Tensor:
        with full_precision(x_BLC.device):
            scale_B1C, shift_B1C = linear_fp32(F.silu(pooled_BC), self.ada)[:, None].chunk(2, dim=-1)
            return self.classify(modulate(x_BLC, scale_B1C, shift_B1C))

    def classify(self, h_BLC: Tensor) -> Tensor:
        """Logits of normalised states, in float32."""
        return linear_fp32(h_BLC, self.proj)

    @abstractmethod
    def loss(self, logits: Tensor, labels_BLD: Tensor) -> Tensor:
        """Negative log-likelihood of the labels per token (B, L), in nats, averaged over the token's bits."""

    @abstractmethod
    def predict(self, logits: Tensor) -> Tensor:
        """Most likely bits (B, L, D)."""

    def sample(
        self,
        logits: Tensor,
        *,
        temperature: float = 1.0,
        top_p: float = 1.0,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """Draw bits (B, L, D); image i uses only `generators[i]`. Temperature 0 is the most likely token."""
        if temperature == 0:
            return self.predict(logits)
        return self._draw(logits.float() / temperature, top_p, generators)

    def accuracy(self, logits: Tensor, labels_BLD: Tensor) -> Tensor:
        """Share of right bits per token and bit: float (B, L, D) of 0 and 1."""
        return (self.predict(logits) == labels_BLD).float()

    @abstractmethod
    def _draw(self, logits: Tensor, top_p: float, generators: Sequence[torch.Generator]) -> Tensor:
        """Draw bits from the nucleus of logits that the temperature has divided."""


class BitwiseHead(Head):
    """One logit per bit: the log-odds of a 1.

    Parameters are the official ones, a row for each of a bit's two values; only the rows' difference is ever
    applied.
    """

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__(config, 2 * config.token_bits)

    def classify(self, h_BLC: Tensor) -> Tensor:
        weight_0, weight_1 = self.proj.weight.float().unflatten(0, (-1, 2)).unbind(1)
        bias_0, bias_1 = self.proj.bias.float().unflatten(0, (-1, 2)).unbind(1)
        return linear(h_BLC, weight_1 - weight_0, bias_1 - bias_0)

    def loss(self, logits: Tensor, labels_BLD: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, labels_BLD.float(), reduction="none").mean(dim=-1)

    def predict(self, logits: Tensor) -> Tensor:
        return logits > 0

    def _draw(self, logits: Tensor, top_p: float, generators: Sequence[torch.Generator]) -> Tensor:
        p_one = logits.sigmoid()
        # nucleus of two classes: the less likely value is never drawn if its probability is <= 1 - top_p
        p_one = torch.where(torch.minimum(p_one, 1 - p_one) <= 1 - top_p, (logits > 0).float(), p_one)
        return uniform_noise(p_one.shape, generators, p_one.device) < p_one


class IndexHead(Head):
    """One logit per vocabulary index (2**D classes), the baseline of the paper's Table 5."""

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__(config, 2**config.token_bits)

    def loss(self, logits: Tensor, labels_BLD: Tensor) -> Tensor:
        nll = F.cross_entropy(logits.flatten(0, 1), pack_ids(labels_BLD).flatten(), reduction="none")
        return nll.view(labels_BLD.shape[:2]) / self.token_bits

    def predict(self, logits: Tensor) -> Tensor:
        return unpack_ids(logits.argmax(dim=-1), self.token_bits)

    def _draw(self, logits: Tensor, top_p: float, generators: Sequence[torch.Generator]) -> Tensor:
        probabilities, ids = logits.softmax(dim=-1).sort(dim=-1)  # ascending
        removed = probabilities.cumsum(dim=-1) <= 1 - top_p
        removed[..., -1] = False
        cumulative = probabilities.masked_fill(removed, 0).cumsum(dim=-1)
        noise_BL1 = uniform_noise((*logits.shape[:-1], 1), generators, logits.device)
        # u in [0, total): the first index whose cumulative probability exceeds it
        drawn = torch.searchsorted(cumulative, noise_BL1 * cumulative[..., -1:], right=True)
        drawn = drawn.clamp_max(logits.shape[-1] - 1)
        return unpack_ids(ids.gather(-1, drawn)[..., 0], self.token_bits)


def uniform_noise(
    shape: Sequence[int], generators: Sequence[torch.Generator], device: torch.device
) -> Tensor:
    """Uniform numbers in [0, 1) of `shape`; row i comes from `generators[i]` alone."""
    rows = [torch.rand(tuple(shape[1:]), generator=g, device=g.device) for g in generators]
    return torch.stack(rows).to(device)


def build_head(config: InfinityConfig) -> Head:
    """The head that a configuration names."""
    return BitwiseHead(config) if config.head == "bitwise" else IndexHead(config)
