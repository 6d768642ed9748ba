"""What every quantizer offers to the multi-scale loop."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from infinity.precision import full_precision
from infinity.quantizers.config import QuantizerConfig
from infinity.types import QuantizerOutput

__all__ = ["Quantizer", "straight_through"]


class Quantizer(nn.Module, ABC):
    """Maps continuous features to codes that D bits name, one latent cell at a time."""

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, z_BDHW: Tensor) -> QuantizerOutput:
        """Quantize in fp32, whatever autocast says: a rounded residual would flip bits."""
        with full_precision(z_BDHW.device):
            return self.quantize(z_BDHW.float())

    @property
    def learning(self) -> bool:
        """Whether this is a training step; a preview amid training has no gradients, maybe no other ranks."""
        return self.training and torch.is_grad_enabled()

    @abstractmethod
    def quantize(self, z_BDHW: Tensor) -> QuantizerOutput:
        """Codes (straight-through), bits and unweighted losses of fp32 features."""

    @abstractmethod
    def codes_from_bits(self, bits_BDHW: Tensor) -> Tensor:
        """The codes that bits stand for: fp32, (B, D, H, W)."""


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """Exactly `codes` in value, with the gradient going to `z` as if nothing had been quantized."""
    return codes.detach() + (z - z.detach())
