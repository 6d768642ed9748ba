"""Lookup-free quantization (paper Eq. 4, first row; MAGVIT-v2, arXiv 2310.05737)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers.base import Quantizer, straight_through
from infinity.quantizers.bits import bits_to_codes, unpack_ids
from infinity.quantizers.entropy import exact_entropies
from infinity.types import QuantizerOutput

__all__ = ["LFQ"]


class LFQ(Quantizer):
    """Takes the sign of every channel, without projecting onto the sphere first; exact O(2^d) entropies.

    Codes are the paper's sign(z) over sqrt(d), so that codes have unit norm for every quantizer. The factor
    only rescales what the encoder has to put out.
    """

    def quantize(self, z_BDHW: Tensor) -> QuantizerOutput:
        bits_BDHW = self.bits_of(z_BDHW)
        codes_BDHW = self.codes_from_bits(bits_BDHW)
        ids_V = torch.arange(2**self.config.num_bits, device=z_BDHW.device)
        codebook_VD = bits_to_codes(unpack_ids(ids_V, self.config.num_bits), dim=1)
        logits_NV = 2 * self.config.inv_temperature * z_BDHW.movedim(1, -1).flatten(0, 2) @ codebook_VD.T
        entropies = exact_entropies(logits_NV, sync=self.learning)
        losses = {
            "commitment": F.mse_loss(z_BDHW, codes_BDHW),
            "entropy_sample": entropies.sample,
            "entropy_batch": entropies.batch,
        }
        return QuantizerOutput(straight_through(z_BDHW, codes_BDHW), bits_BDHW, losses)
