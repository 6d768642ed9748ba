"""Draw images scale by scale (paper section 3.1; official ``autoregressive_infer_cfg``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers.bits import bits_to_codes, patchify_bits, unpatchify_bits
from infinity.resample import bilinear_resize, bilinear_up
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.config import SamplingConfig
from infinity.sampling.known import Known
from infinity.schedules import ScaleSchedule
from infinity.transformer.model import Infinity
from infinity.types import TextStates

__all__ = ["Generation", "ScaleHook", "apply_guidance", "generate", "guidance_batch"]

ScaleHook = Callable[[int, Tensor, Tensor], None]
"""Called after every scale with its number (from 0), its bits and the sum of codes so far (B, D, H, W)."""


class Generation(NamedTuple):
    """Images as bits and as features for the tokenizer's decoder."""

    bits: tuple[Tensor, ...]  # per scale: bool (B, D, h_k, w_k), in latent cells
    features_BDHW: Tensor


@torch.no_grad()
def generate(
    model: Infinity,
    text: TextStates,
    schedule: ScaleSchedule,
    config: SamplingConfig,
    *,
    patchify: int = 1,
    generators: Sequence[torch.Generator] | None = None,
    negative_text: TextStates | None = None,
    known: Known | None = None,
    on_scale_end: ScaleHook | None = None,
    codes_from_bits: Callable[[Tensor], Tensor] = bits_to_codes,
) -> Generation:
    """Draw one image per caption of `text`.

    Args:
        schedule: in tokens.
        patchify: latent cells per token side.
        generators: one per image, so that an image depends on its own seed only; not needed at temperature 0.
        negative_text: what guidance leads away from, instead of the learned null condition.
        known: bits that are dictated, scale by scale. As many random numbers are drawn as without it.
        codes_from_bits: the tokenizer's code book, where a code is not +-1/sqrt(D).
    """
    batch_size = len(text.states_BME)
    guidances = config.per_scale("guidance", schedule)
    temperatures = config.per_scale("temperature", schedule)
    top_ps = config.per_scale("top_p", schedule)
    if generators is None:
        if any(temperatures):
            raise ValueError(
                "drawing with a temperature needs randomness: pass one torch.Generator per image"
            )
        generators = ()
    elif len(generators) != batch_size:
        raise ValueError(f"pass one torch.Generator per image: got {len(generators)} for {batch_size} images")
    # the unconditional half is needed up to the last scale that is guided
    num_guided = max((k + 1 for k, guidance in enumerate(guidances) if guidance != 1), default=0)
    both, drop_B = (text, None) if num_guided == 0 else guidance_batch(text, negative_text)
    decoder = ScaleDecoder(model, both, schedule, drop_B=drop_B)
    latent = schedule.latent(patchify)
    bits: list[Tensor] = []
    total_BDHW: Tensor | None = None
    inputs_BLD: Tensor | None = None
    for k, scale in enumerate(schedule):
        if k == num_guided and k > 0:
            decoder.narrow(batch_size)
        logits = apply_guidance(decoder.step(k, inputs_BLD), guidances[k], batch_size)
        drawn_BLD = model.head.sample(
            logits, temperature=temperatures[k], top_p=top_ps[k], generators=generators
        )
        bits_BDHW = unpatchify_bits(drawn_BLD, patchify, scale)
        if known is not None:
            bits_BDHW = known.force(k, bits_BDHW, total_BDHW)
        codes_BDHW = bilinear_up(codes_from_bits(bits_BDHW), latent.final)
        total_BDHW = codes_BDHW if total_BDHW is None else total_BDHW + codes_BDHW
        bits.append(bits_BDHW)
        if on_scale_end is not None:
            on_scale_end(k, bits_BDHW, total_BDHW)
        if k + 1 < len(schedule):
            inputs_BLD = patchify_bits(bilinear_resize(total_BDHW, latent[k + 1]), patchify)
            if k + 1 < num_guided:
                inputs_BLD = inputs_BLD.repeat(2, 1, 1)
    assert total_BDHW is not None
    return Generation(tuple(bits), total_BDHW)


def apply_guidance(logits: Tensor, guidance: float, batch_size: int) -> Tensor:
    """Mix conditional and unconditional logits, stacked along the batch: ``g * cond + (1 - g) * uncond``."""
    if len(logits) == batch_size:
        return logits
    return torch.lerp(logits[batch_size:], logits[:batch_size], guidance)


def guidance_batch(text: TextStates, negative_text: TextStates | None) -> tuple[TextStates, Tensor | None]:
    """Stack conditional and unconditional text; without negative text the latter is the null condition."""
    if negative_text is None:
        batch_size = len(text.states_BME)
        drop_B = torch.arange(2 * batch_size, device=text.mask_BM.device) >= batch_size
        return TextStates(text.states_BME.repeat(2, 1, 1), text.mask_BM.repeat(2, 1)), drop_B
    if len(negative_text.mask_BM) != len(text.mask_BM):
        raise ValueError(
            f"pass one negative text per caption: got {len(negative_text.mask_BM)} for {len(text.mask_BM)}"
        )
    length = max(text.mask_BM.shape[1], negative_text.mask_BM.shape[1])
    padded = [_pad_text(states, length) for states in (text, negative_text)]
    return TextStates(*(torch.cat(tensors) for tensors in zip(*padded, strict=True))), None


def _pad_text(text: TextStates, length: int) -> TextStates:
    missing = length - text.mask_BM.shape[1]
    return TextStates(F.pad(text.states_BME, (0, 0, 0, missing)), F.pad(text.mask_BM, (0, missing)))
