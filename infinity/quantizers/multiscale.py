"""Multi-scale residual quantization (paper section 3.2, Eq. 1) over any quantizer of single cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from infinity.quantizers.base import Quantizer
from infinity.quantizers.config import QuantizerConfig
from infinity.randomness import Randomness, uniform
from infinity.resample import area_down, bilinear_up
from infinity.schedules import ScaleSchedule
from infinity.types import MultiScaleCodes

__all__ = ["MultiScaleResidual"]


class MultiScaleResidual(nn.Module):
    """Codes what coarser scales left over, scale by scale; up-sampled codes sum up to the features.

    All sizes are in latent cells. Codes have the same magnitude at every scale, as in the official model.
    """

    def __init__(self, quantizer: Quantizer, config: QuantizerConfig) -> None:
        super().__init__()
        self.quantizer = quantizer
        self.config = config

    def forward(
        self, features_BDHW: Tensor, schedule: ScaleSchedule, *, generator: Randomness | None = None
    ) -> MultiScaleCodes:
        """Quantize features of size ``schedule.final``.

        While training with `scale_depth_dropout`, the codes of every scale but the last are left out for a
        random part of the samples (finer scales then have to code more); `generator` draws which. The bits
        are still reported.
        """
        _check_size(features_BDHW, schedule)
        kept_KB = self._draw_kept(len(schedule), features_BDHW.shape[0], generator, features_BDHW.device)
        residual_BDHW = features_BDHW.float()
        total_BDHW = torch.zeros_like(residual_BDHW)
        bits: list[Tensor] = []
        losses: list[dict[str, Tensor]] = []
        for k, scale in enumerate(schedule):
            quantized = self.quantizer(area_down(residual_BDHW, scale))
            codes_BDHW = bilinear_up(quantized.codes_BDHW, schedule.final)
            if kept_KB is not None:
                codes_BDHW = codes_BDHW * kept_KB[k].view(-1, 1, 1, 1)
            residual_BDHW = residual_BDHW - (
                codes_BDHW.detach() if self.config.detach_residual else codes_BDHW
            )
            total_BDHW = total_BDHW + codes_BDHW
            bits.append(quantized.bits_BDHW)
            losses.append(quantized.losses)
        mean_losses = {name: torch.stack([scale[name] for scale in losses]).mean() for name in losses[0]}
        return MultiScaleCodes(total_BDHW, tuple(bits), mean_losses)

    @torch.no_grad()
    def bits_of(self, features_BDHW: Tensor, schedule: ScaleSchedule) -> tuple[Tensor, ...]:
        """The bits that :meth:`forward` gives, per scale, without losses and gradients."""
        _check_size(features_BDHW, schedule)
        residual_BDHW = features_BDHW.float()
        bits: list[Tensor] = []
        for scale in schedule:
            bits.append(self.quantizer.bits_of(area_down(residual_BDHW, scale)))
            codes_BDHW = self.quantizer.codes_from_bits(bits[-1])
            residual_BDHW = residual_BDHW - bilinear_up(codes_BDHW, schedule.final)
        return tuple(bits)

    def sum_codes(self, bits: Sequence[Tensor], schedule: ScaleSchedule) -> Tensor:
        """Rebuild fp32 features of size ``schedule.final`` from the bits (B, D, h, w) of the first scales."""
        sizes = [tuple(bits_BDHW.shape[-2:]) for bits_BDHW in bits]
        if not sizes or sizes != list(schedule)[: len(sizes)]:
            got = " ".join("x".join(map(str, size)) for size in sizes) or "none"
            raise ValueError(f"bits must be of the first scales of {schedule} latent cells, got {got}")
        codes = map(self.quantizer.codes_from_bits, bits)
        return reduce(torch.add, (bilinear_up(codes_BDHW, schedule.final) for codes_BDHW in codes))

    def _draw_kept(
        self, num_scales: int, batch: int, generator: Randomness | None, device: torch.device
    ) -> Tensor | None:
        """(K, B) of 0 and 1: which samples keep the codes of which scale; None when all do."""
        if not self.quantizer.learning or self.config.scale_depth_dropout == 0:
            return None
        if generator is None:
            raise ValueError("training with scale_depth_dropout draws random scales: pass a torch.Generator")
        kept_KB = uniform((num_scales, batch), generator, batch_dim=1) >= self.config.scale_depth_dropout
        kept_KB[-1] = True
        return kept_KB.to(device, torch.float32)


def _check_size(features_BDHW: Tensor, schedule: ScaleSchedule) -> None:
    if tuple(features_BDHW.shape[-2:]) != schedule.final:
        got, expected = "x".join(map(str, features_BDHW.shape[-2:])), "x".join(map(str, schedule.final))
        raise ValueError(
            f"the schedule ends at {expected} latent cells but the features are {got}; "
            "take the schedule of this image size"
        )
