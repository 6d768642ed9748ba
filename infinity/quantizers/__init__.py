"""Quantizers of single latent cells, and the multi-scale residual loop over them."""

from __future__ import annotations

from infinity.quantizers.base import Quantizer
from infinity.quantizers.bits import (
    bits_to_codes,
    codes_to_bits,
    pack_ids,
    patchify_bits,
    unpack_ids,
    unpatchify_bits,
)
from infinity.quantizers.bsq import BSQ
from infinity.quantizers.config import QuantizerConfig
from infinity.quantizers.lfq import LFQ
from infinity.quantizers.multiscale import MultiScaleResidual
from infinity.quantizers.vq import VQ

__all__ = [
    "BSQ",
    "LFQ",
    "VQ",
    "MultiScaleResidual",
    "Quantizer",
    "QuantizerConfig",
    "bits_to_codes",
    "build_quantizer",
    "codes_to_bits",
    "pack_ids",
    "patchify_bits",
    "unpack_ids",
    "unpatchify_bits",
]

_KINDS: dict[str, type[BSQ] | type[LFQ] | type[VQ]] = {"bsq": BSQ, "lfq": LFQ, "vq": VQ}


def build_quantizer(config: QuantizerConfig) -> MultiScaleResidual:
    """The multi-scale residual quantizer that a config describes."""
    return MultiScaleResidual(_KINDS[config.kind](config), config)
