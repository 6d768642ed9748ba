"""What an image to be drawn has in common with a given one: bits that are dictated instead of drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor

from infinity.quantizers.base import Quantizer
from infinity.resample import area_down

__all__ = ["Known", "KnownBits", "KnownFeatures"]


class Known(Protocol):
    """Has the last word on the bits of a scale. Tensors have one row per image, or one for all images."""

    def force(self, k: int, drawn_BDHW: Tensor, total_BDHW: Tensor | None) -> Tensor:
        """The bits of scale k (from 0), given those drawn and the sum of codes before it (None at k = 0)."""
        ...

    def rows(self, batch: slice) -> Self:
        """What is known of a part of the images."""
        ...


@dataclass(frozen=True)
class KnownBits:
    """Bits that are given as they are.

    Args:
        bits: bool (B or 1, D, h, w) of the first scales in latent cells, None where a scale is drawn.
        masks: where they hold (True), bool (B or 1, D or 1, h, w); everywhere if there is no mask.
    """

    bits: Sequence[Tensor | None]
    masks: Sequence[Tensor | None] = ()

    def force(self, k: int, drawn_BDHW: Tensor, total_BDHW: Tensor | None) -> Tensor:
        given = self.bits[k] if k < len(self.bits) else None
        if given is None:
            return drawn_BDHW
        if given.shape[1:] != drawn_BDHW.shape[1:] or len(given) not in (1, len(drawn_BDHW)):
            raise ValueError(
                f"known bits of scale {k + 1} must be {tuple(drawn_BDHW.shape)}, got {tuple(given.shape)}"
            )
        given = given.to(drawn_BDHW.device).expand_as(drawn_BDHW)
        mask = self.masks[k] if k < len(self.masks) else None
        return given if mask is None else torch.where(mask.to(drawn_BDHW.device), given, drawn_BDHW)

    def rows(self, batch: slice) -> KnownBits:
        return KnownBits(
            [None if bits is None else _rows(bits, batch) for bits in self.bits],
            [None if mask is None else _rows(mask, batch) for mask in self.masks],
        )


@dataclass(frozen=True)
class KnownFeatures:
    """Features that the sum of codes is led to where they are known, whatever is drawn elsewhere.

    The bits of a cell of which at least half is known are those of what the scales before it left over: the
    difference of the features and the running sum, averaged over the known part of the cell. This is the
    tokenizer's own rule, but for the sum, which holds the drawn codes too: what neighbours spill over into
    the known part is taken back by the next scales (as self-correction does in training). Where all is known,
    the bits are those that the tokenizer gives to the image.

    Args:
        features_BDHW: the encoder's features (B or 1, D, H, W).
        known_B1HW: bool (B or 1, 1, H, W).
        quantizer: codes one scale.
    """

    features_BDHW: Tensor
    known_B1HW: Tensor
    quantizer: Quantizer

    def force(self, k: int, drawn_BDHW: Tensor, total_BDHW: Tensor | None) -> Tensor:
        size = (drawn_BDHW.shape[-2], drawn_BDHW.shape[-1])
        residual_BDHW = self.features_BDHW if total_BDHW is None else self.features_BDHW - total_BDHW
        # the sum over the known part serves as its average: quantizers don't look at magnitudes
        residual_BDHW = area_down(residual_BDHW * self.known_B1HW, size)
        share_B1HW = area_down(self.known_B1HW.to(residual_BDHW.dtype), size)
        return torch.where(share_B1HW >= 0.5, self.quantizer.bits_of(residual_BDHW), drawn_BDHW)

    def rows(self, batch: slice) -> KnownFeatures:
        return KnownFeatures(_rows(self.features_BDHW, batch), _rows(self.known_B1HW, batch), self.quantizer)


def _rows(tensor: Tensor, batch: slice) -> Tensor:
    return tensor if len(tensor) == 1 else tensor[batch]
