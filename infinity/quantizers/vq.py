"""Vector quantization with a learned codebook, the index-wise baseline (VQ-VAE, arXiv 1711.00937)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.precision import full_precision
from infinity.quantizers.base import Quantizer, straight_through
from infinity.quantizers.bits import pack_ids, unpack_ids
from infinity.quantizers.config import QuantizerConfig
from infinity.quantizers.entropy import exact_entropies
from infinity.types import QuantizerOutput

__all__ = ["VQ"]


class VQ(Quantizer):
    """Rounds a cell to the nearest of 2^d learned unit vectors; its bits are those of the vector's index.

    Cells and vectors lie on the unit sphere, as in :class:`~infinity.quantizers.bsq.BSQ`, so that the
    codebook is the only difference between the two.
    """

    def __init__(self, config: QuantizerConfig) -> None:
        super().__init__(config)
        self.codebook_VD = nn.Parameter(torch.empty(2**config.num_bits, config.num_bits))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.codebook_VD, std=self.config.num_bits**-0.5)

    def quantize(self, z_BDHW: Tensor) -> QuantizerOutput:
        unit_BDHW = F.normalize(z_BDHW, dim=1)
        similarity_BHWV = self._similarity(unit_BDHW)
        bits_BDHW = self._nearest(similarity_BHWV)
        codes_BDHW = self.codes_from_bits(bits_BDHW)
        logits_NV = 2 * self.config.inv_temperature * similarity_BHWV.flatten(0, 2)
        entropies = exact_entropies(logits_NV, sync=self.learning)
        losses = {
            "commitment": F.mse_loss(unit_BDHW, codes_BDHW.detach()),
            "codebook": F.mse_loss(codes_BDHW, unit_BDHW.detach()),
            "entropy_sample": entropies.sample,
            "entropy_batch": entropies.batch,
        }
        return QuantizerOutput(straight_through(unit_BDHW, codes_BDHW), bits_BDHW, losses)

    def bits_of(self, z_BDHW: Tensor) -> Tensor:
        with full_precision(z_BDHW.device):
            return self._nearest(self._similarity(F.normalize(z_BDHW.float(), dim=1)))

    def codes_from_bits(self, bits_BDHW: Tensor) -> Tensor:
        return self._unit_codebook()[pack_ids(bits_BDHW.movedim(1, -1))].movedim(-1, 1)

    def _similarity(self, unit_BDHW: Tensor) -> Tensor:
        return unit_BDHW.movedim(1, -1) @ self._unit_codebook().T  # (B, H, W, V)

    def _nearest(self, similarity_BHWV: Tensor) -> Tensor:
        return unpack_ids(similarity_BHWV.argmax(dim=-1), self.config.num_bits).movedim(-1, 1)

    def _unit_codebook(self) -> Tensor:
        return F.normalize(self.codebook_VD.float(), dim=1)
