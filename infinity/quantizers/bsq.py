"""Binary spherical quantization (paper Eq. 4, second row; arXiv 2406.07548)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers.base import Quantizer, straight_through
from infinity.quantizers.entropy import factorised_entropies
from infinity.types import QuantizerOutput

__all__ = ["BSQ"]


class BSQ(Quantizer):
    """Projects a cell onto the unit sphere and rounds it to the nearest corner of the inscribed hypercube.

    No parameters and no table: cost and memory are O(d) per cell, entropy penalty included.
    """

    def quantize(self, z_BDHW: Tensor) -> QuantizerOutput:
        unit_BDHW = F.normalize(z_BDHW, dim=1)
        bits_BDHW = self.bits_of(z_BDHW)
        codes_BDHW = self.codes_from_bits(bits_BDHW)
        logits_BDHW = unit_BDHW * (4 * self.config.inv_temperature * self.config.num_bits**-0.5)
        entropies = factorised_entropies(logits_BDHW, sync=self.learning)
        losses = {
            "commitment": F.mse_loss(unit_BDHW, codes_BDHW),
            "entropy_sample": entropies.sample,
            "entropy_batch": entropies.batch,
        }
        return QuantizerOutput(straight_through(unit_BDHW, codes_BDHW), bits_BDHW, losses)
