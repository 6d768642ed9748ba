"""Drawing images against the official code: cached and guided logits, free runs, decoded images."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from infinity.images import to_uint8
from infinity.quantizers.bits import bits_to_codes, patchify_bits, unpatchify_bits
from infinity.resample import bilinear_resize, bilinear_up
from infinity.sampling import SamplingConfig, generate
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.generate import guidance_batch
from infinity.sampling.known import KnownBits
from infinity.schedules import ScaleSchedule
from infinity.transformer import Infinity
from infinity.types import TextStates
from tests.parity.folder import default_recordings
from tests.parity.ledger import Ledger
from tests.parity.official import (
    bits_of,
    one_logit,
    schedule_of,
    text_of,
    tokenizer_of,
    transformer_of,
)

SURE = 1e-3  # a guided logit this far from 0 has a certain sign


class Run(NamedTuple):
    """One recorded drawing of a batch of images."""

    ledger: Ledger
    model: Infinity
    text: TextStates
    schedule: ScaleSchedule  # in tokens
    patchify: int
    guidance: list[float]
    forced: list[Tensor]  # bits of the first scales that were dictated
    greedy: bool  # else bits are random, and only what they are drawn from is comparable


def run_of(ledger: Ledger) -> Run:
    assert "config" in ledger.meta, "no tensor tells the guidance: the manifest must, in config.ar"
    facts = ledger.meta["config"]["ar"]
    assert facts.get("cfg_insertion_layer", [0]) == [0], "we guide logits, not hidden states"
    scales, guidance = len(ledger.meta["scale_schedule"]), facts["cfg"]
    names = ("text.kv", "text.cu_seqlens")  # a run whose first bits are forced reads those of the free one
    text = text_of(*(ledger[name] if name in ledger else ledger.of_file("ar.")[name] for name in names))
    schedule = schedule_of(ledger.meta)
    return Run(
        ledger,
        transformer_of(ledger.of_file("sd."), ledger.meta),
        text,
        schedule,
        bits_of(ledger["s0.bits"]).shape[-1] // schedule[0].w,
        guidance[:scales] if isinstance(guidance, list) else [guidance] * scales,
        [bits_of(ledger[f"gt{k}"]) for k in range(len(ledger.names("gt")))],
        facts.get("top_k", 1) == 1,
    )


@pytest.mark.recorded("sampling")
@torch.no_grad()
def test_logits_bits_and_images_match(ledger: Ledger) -> None:
    run = run_of(ledger)
    total = compare_along_recorded_bits(run)
    ledger.absolute("summed_codes", total, 1e-5)
    if run.greedy:
        compare_free_run(run)
    compare_images(ledger, total)
    ledger.settle()


def compare_along_recorded_bits(run: Run) -> Tensor:
    """Compare every scale, given the recorded bits before it; return the sum of the recorded codes."""
    latent = run.schedule.latent(run.patchify)
    guided = any(value != 1 for value in run.guidance)
    both, drop_B = guidance_batch(run.text, None) if guided else (run.text, None)
    decoder = ScaleDecoder(run.model, both, run.schedule, drop_B=drop_B)
    total = torch.zeros(1)
    for k in range(len(run.schedule)):
        inputs = None
        if k:
            inputs = patchify_bits(bilinear_resize(total, latent[k]), run.patchify)
            run.ledger.absolute(f"s{k}.word_embed_in", inputs, 1e-5)
            inputs = inputs.repeat(2 if guided else 1, 1, 1)
        logits = decoder.step(k, inputs)[: len(run.ledger[f"s{k}.raw_logits"])]
        run.ledger.absolute(f"s{k}.raw_logits", logits, 1e-4, one_logit)
        bits = bits_of(run.ledger[f"s{k}.bits"])
        if run.greedy and k >= len(run.forced):
            expected = torch.where(sure_bits(run, k, logits), likely_bits(run, k, logits), bits)
            run.ledger.equal(f"s{k}.bits", expected, bits_of)
        total = total + bilinear_up(bits_to_codes(bits), latent.final)
    return total


def compare_free_run(run: Run) -> None:
    """Bits that are drawn greedily, up to the first that rounding decides: all later ones hang on it."""
    config = SamplingConfig(guidance=tuple(run.guidance), temperature=0)
    known = KnownBits(run.forced)
    drawn = generate(run.model, run.text, run.schedule, config, patchify=run.patchify, known=known)
    for k, bits in enumerate(drawn.bits):
        recorded = bits_of(run.ledger[f"s{k}.bits"])
        sure = sure_bits(run, k, one_logit(run.ledger[f"s{k}.raw_logits"]))
        run.ledger.count(f"{run.ledger.part.prefix}s{k}.bits, free run", (bits != recorded) & sure)
        if not torch.equal(bits, recorded):
            break


def sure_bits(run: Run, k: int, logits: Tensor) -> Tensor:
    """Where the sign of the guided logits is certain: bool (B, D, h, w)."""
    return unpatchify_bits(guided_logits(run, k, logits).abs() >= SURE, run.patchify, run.schedule[k])


def likely_bits(run: Run, k: int, logits: Tensor) -> Tensor:
    """The most likely bits (B, D, h, w)."""
    return unpatchify_bits(guided_logits(run, k, logits) > 0, run.patchify, run.schedule[k])


def guided_logits(run: Run, k: int, logits: Tensor) -> Tensor:
    """The mix of conditional and unconditional logits; a scale without guidance has only the former."""
    batch_size = len(run.text.mask_BM)
    return torch.lerp(logits[-batch_size:], logits[:batch_size], run.guidance[k])


def compare_images(ledger: Ledger, summed_codes: Tensor) -> None:
    """Images that the recorded tokenizer makes of recorded bits; theirs are BGR."""
    if not {"decoded_unclamped", "image_uint8_bgr"} & set(ledger.names()):
        return
    file = ledger.meta["config"]["vae"]
    recordings = next((r for r in (ledger.recordings, *default_recordings()) if file in r.files), None)
    assert recordings is not None, f"no manifest lists the tokenizer {file}, which decodes the recorded bits"
    weights = {k.removeprefix("sd."): v for k, v in recordings.tensors(file).items() if k.startswith("sd.")}
    decoded = tokenizer_of(weights, recordings.meta(file)).for_inference().decode(summed_codes)
    # where a greedy random model draws flat maps, group norms magnify rounding by up to 1 / sqrt(eps)
    ledger.relative("decoded_unclamped", decoded, 1e-3, floor=1.0)
    pixels = torch.from_numpy(to_uint8(decoded.clamp(-1, 1).add(1).div(2))).flip(-1)
    ledger.absolute("image_uint8_bgr", pixels, 1.0)
