"""Bitwise self-correction: train on the model's own kind of mistakes (paper section 3.4, Eq. 6, Table 6).

While the code pyramid of an image is built, random bits of every scale are flipped. Two things follow from a
flip:

* the running sum that the transformer reads contains the wrong code ("flip"), and
* the finer scales are quantized again, given the wrong history, so that their labels repair it
  ("re-quantise").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from infinity.configs import check_literals
from infinity.quantizers.base import Quantizer
from infinity.quantizers.bits import bits_to_codes, codes_to_bits, patchify_bits
from infinity.randomness import Randomness, uniform
from infinity.resample import area_down, bilinear_resize, bilinear_up
from infinity.schedules import ScaleSchedule

__all__ = ["SelfCorrectionConfig", "TeacherForcing", "self_correct"]


@dataclass(frozen=True, kw_only=True)
class SelfCorrectionConfig:
    """How training inputs are corrupted.

    Args:
        mode: ``off``: teacher forcing on the image's own bits (Table 6 "baseline"). ``flip_only``: inputs
            contain flipped bits, labels are the clean image's ("random flip"; the official switch for it,
            ``noise_apply_requant=0``, leaves the inputs clean as well). ``full``: flip and re-quantise.
        max_flip: the share of flipped bits is drawn uniformly from 0, 0.01, .., max_flip (the official grid),
            for each scale anew.
        num_scales: how many scales are corrupted, from the first on; 0 for all. (Flips of the last scale have
            no effect.)
        draw: one share for the whole batch, as officially, or one per sample: the same distribution for each
            sample, with less variance in the gradient.
    """

    mode: Literal["off", "flip_only", "full"] = "full"
    max_flip: float = 0.3
    num_scales: int = 0
    draw: Literal["batch", "sample"] = "batch"

    def __post_init__(self) -> None:
        check_literals(self)
        if not 0 <= self.max_flip <= 1:
            raise ValueError(f"max_flip is a share of bits and must be in [0, 1], got {self.max_flip}")
        if not math.isclose(100 * self.max_flip, round(100 * self.max_flip)):
            raise ValueError(
                f"max_flip must be a multiple of 0.01, in whose steps shares are drawn, got {self.max_flip}"
            )
        if self.num_scales < 0:
            raise ValueError(f"num_scales must be positive, or 0 for all scales, got {self.num_scales}")


class TeacherForcing(NamedTuple):
    """Inputs and targets of the transformer for one batch of images."""

    inputs_BLD: Tensor  # float: running sums, resized to scales 2..K, as tokens
    labels_BLD: Tensor  # bool: bits of scales 1..K, as tokens


@torch.no_grad()
def self_correct(
    features_BDHW: Tensor,
    schedule: ScaleSchedule,
    config: SelfCorrectionConfig,
    *,
    patchify: int = 1,
    generator: Randomness | None = None,
    flip_masks: Sequence[Tensor] | None = None,
    quantizer: Quantizer | None = None,
) -> TeacherForcing:
    """Turn tokenizer features into transformer inputs and labels, flipping bits on the way.

    Args:
        features_BDHW: un-normalised features of the tokenizer's encoder.
        schedule: in tokens.
        patchify: latent cells per token side.
        generator: source of the flips; needed unless `mode` is "off" or masks are given.
        flip_masks: bool (B, D, h, w) in latent cells for the first scales, used instead of random flips.
        quantizer: needed only where a code is not the sign of the residual (VQ).
    """
    latent = schedule.latent(patchify)
    if tuple(features_BDHW.shape[-2:]) != latent.final:
        raise ValueError(
            f"the schedule ends at {latent.final.h}x{latent.final.w} latent cells, the features are "
            f"{features_BDHW.shape[-2]}x{features_BDHW.shape[-1]}; take the schedule of this image size"
        )
    bits_of: Callable[[Tensor], Tensor] = codes_to_bits if quantizer is None else quantizer.bits_of
    codes_of: Callable[[Tensor], Tensor] = bits_to_codes if quantizer is None else quantizer.codes_from_bits
    features_BDHW = features_BDHW.float()
    clean_sum = noisy_sum = torch.zeros_like(features_BDHW)
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    for k, scale in enumerate(latent):
        history = noisy_sum if config.mode == "full" else clean_sum
        residual_BDHW = area_down(features_BDHW - history, scale)
        bits_BDHW = bits_of(residual_BDHW)
        labels.append(patchify_bits(bits_BDHW, patchify))
        if k + 1 == len(latent):
            break
        flips = None if config.mode == "off" else _flips(k, bits_BDHW, config, generator, flip_masks)
        noisy_bits = bits_BDHW if flips is None else bits_BDHW ^ flips
        noisy_sum = noisy_sum + bilinear_up(codes_of(noisy_bits), latent.final)
        if config.mode == "flip_only":
            clean_sum = clean_sum + bilinear_up(codes_of(bits_BDHW), latent.final)
        elif config.mode == "off":
            clean_sum = noisy_sum
        inputs.append(patchify_bits(bilinear_resize(noisy_sum, latent[k + 1]), patchify))
    no_inputs = features_BDHW.new_zeros(len(features_BDHW), 0, labels[0].shape[-1])
    return TeacherForcing(torch.cat(inputs, dim=1) if inputs else no_inputs, torch.cat(labels, dim=1))


def _flips(
    k: int,
    bits_BDHW: Tensor,
    config: SelfCorrectionConfig,
    generator: Randomness | None,
    flip_masks: Sequence[Tensor] | None,
) -> Tensor | None:
    """Mask of the bits of scale k to flip, or None."""
    if flip_masks is not None:
        return flip_masks[k] if k < len(flip_masks) else None
    if config.num_scales and k >= config.num_scales:
        return None
    if generator is None:
        raise ValueError(f"self-correction mode {config.mode!r} flips random bits: pass a torch.Generator")
    if config.draw == "sample":
        draw = uniform((len(bits_BDHW), 1, 1, 1), generator)
    else:
        draw = uniform((1, 1, 1, 1), generator, batch_dim=None)
    share = (draw * (round(100 * config.max_flip) + 1)).floor() / 100
    noise_BDHW = uniform(bits_BDHW.shape, generator)
    return (noise_BDHW < share).to(bits_BDHW.device)
