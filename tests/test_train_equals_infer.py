"""Training and sampling see the same numbers: the property whose loss no error message reports."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infinity.quantizers.bits import patchify_bits, unpatchify_bits
from infinity.sampling import SamplingConfig, generate
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.known import KnownBits
from infinity.schedules import ASPECT_RATIOS, ScaleSchedule, paper_schedule
from infinity.self_correction import SelfCorrectionConfig, TeacherForcing, self_correct
from infinity.transformer import Infinity
from tests.transformer.tiny import SQUARE, tiny_model, tiny_text

PATCHED = paper_schedule(0.666, "0.06M").prefix(4)
CASES = [(paper_schedule(ratio, "0.06M"), 1) for ratio in ASPECT_RATIOS] + [(SQUARE, 2), (PATCHED, 2)]
NAMES = [f"{schedule.final.h}x{schedule.final.w}/{patchify}" for schedule, patchify in CASES]


def teacher_forcing(schedule: ScaleSchedule, patchify: int, num_bits: int) -> TeacherForcing:
    features = torch.randn(1, num_bits, *schedule.latent(patchify).final)
    return self_correct(features, schedule, SelfCorrectionConfig(mode="off"), patchify=patchify)


def bits_per_scale(labels_BLD: Tensor, schedule: ScaleSchedule, patchify: int) -> list[Tensor]:
    return [
        unpatchify_bits(labels_BLD[:, tokens], patchify, scale)
        for tokens, scale in zip(schedule.slices, schedule, strict=True)
    ]


def model_for(patchify: int) -> Infinity:
    return tiny_model(token_bits=4 * patchify**2, width=16, num_heads=2)


@pytest.mark.parametrize(("schedule", "patchify"), CASES, ids=NAMES)
def test_the_sampler_builds_the_inputs_of_training_from_the_same_bits(
    schedule: ScaleSchedule, patchify: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    forcing = teacher_forcing(schedule, patchify, 4)
    seen: list[Tensor] = []
    step = ScaleDecoder.step

    def recording_step(self: ScaleDecoder, k: int, inputs_BLD: Tensor | None) -> Tensor:
        if inputs_BLD is not None:
            seen.append(inputs_BLD)
        return step(self, k, inputs_BLD)

    monkeypatch.setattr(ScaleDecoder, "step", recording_step)
    bits = bits_per_scale(forcing.labels_BLD, schedule, patchify)
    config = SamplingConfig(guidance=1, temperature=0)
    drawn = generate(
        model_for(patchify), tiny_text((3,)), schedule, config, patchify=patchify, known=KnownBits(bits)
    )
    assert torch.equal(torch.cat(seen, dim=1), forcing.inputs_BLD)
    for ours, expected in zip(drawn.bits, bits, strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize(("schedule", "patchify"), CASES, ids=NAMES)
def test_cached_logits_equal_the_full_forward_pass(schedule: ScaleSchedule, patchify: int) -> None:
    forcing, model, text = teacher_forcing(schedule, patchify, 4), model_for(patchify), tiny_text((3,))
    inputs = forcing.inputs_BLD
    with torch.no_grad():
        full = model(inputs, text, schedule)
        decoder = ScaleDecoder(model, text, schedule)
        for k, tokens in enumerate(schedule.slices):
            scale_inputs = inputs[:, tokens.start - 1 : tokens.stop - 1] if k else None
            torch.testing.assert_close(decoder.step(k, scale_inputs), full[:, tokens], rtol=1e-4, atol=1e-4)


def test_drawn_bits_are_what_the_full_forward_pass_finds_most_likely() -> None:
    model, text = tiny_model(), tiny_text()
    drawn = generate(model, text, SQUARE, SamplingConfig(guidance=1, temperature=0))
    labels = torch.cat([patchify_bits(bits, 1) for bits in drawn.bits], dim=1)
    inputs = rebuilt_inputs(drawn.bits, SQUARE)
    with torch.no_grad():
        assert torch.equal(model.head.predict(model(inputs, text, SQUARE)), labels)


def rebuilt_inputs(bits: tuple[Tensor, ...], schedule: ScaleSchedule) -> Tensor:
    """Transformer inputs by torch's own interpolation."""
    total, inputs = torch.zeros(1), []
    for k in range(len(schedule) - 1):
        codes = (bits[k].float() * 2 - 1) / bits[k].shape[1] ** 0.5
        total = total + torch.nn.functional.interpolate(codes, size=schedule.final, mode="bilinear")
        resized = torch.nn.functional.interpolate(total, size=schedule[k + 1], mode="bilinear")
        inputs.append(resized.flatten(2).transpose(1, 2))
    return torch.cat(inputs, dim=1)
