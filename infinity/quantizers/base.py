"""What every quantizer offers to the multi-scale loop."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from infinity.precision import full_precision
from infinity.quantizers.bits import bits_to_codes, codes_to_bits
from infinity.quantizers.config import QuantizerConfig
from infinity.types import QuantizerOutput

__all__ = ["Quantizer", "straight_through"]


class Quantizer(nn.Module, ABC):
    """Maps continuous features to codes that D bits name, one latent cell at a time.

    Bits are the signs of the features, unless a subclass has other ones.
    """

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, z_BDHW: Tensor) -> QuantizerOutput:
        """Quantize in fp32, whatever autocast says: a rounded residual would flip bits."""
        with full_precision(z_BDHW.device):
            return self.quantize(z_BDHW.float())

    @property
    def learning(self) -> bool:
        """Whether this is a training step: a preview during training has no gradients, and may run alone."""
        return self.training and torch.is_grad_enabled()

    def bits_of(self, z_BDHW: Tensor) -> Tensor:
        """The bits that :meth:`forward` gives, without its codes and losses: bool (B, D, H, W)."""
        return codes_to_bits(z_BDHW)

    def codes_from_bits(self, bits_BDHW: Tensor) -> Tensor:
        """The codes that bits stand for: fp32, (B, D, H, W)."""
        return bits_to_codes(bits_BDHW, dim=1)

    @abstractmethod
    def quantize(self, z_BDHW: Tensor) -> QuantizerOutput:
        """Codes (straight-through), bits and unweighted losses of fp32 features."""


def straight_through(z: Tensor, codes: Tensor) -> Tensor:
    """Exactly `codes` in value, with the gradient going to `z` as if nothing had been quantized."""
    return codes.detach() + (z - z.detach())
