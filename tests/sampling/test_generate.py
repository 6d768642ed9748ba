"""Drawing images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.quantizers.bits import bits_to_codes
from infinity.resample import bilinear_up
from infinity.sampling import Generation, SamplingConfig, generate
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.generate import apply_guidance, guidance_batch
from infinity.sampling.known import KnownBits
from infinity.types import TextStates
from tests.tolerances import TOL
from tests.transformer.tiny import SQUARE, WIDE, tiny_model, tiny_text

GREEDY = SamplingConfig(guidance=1, temperature=0)


def seeds(*numbers: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(number) for number in numbers]


def row(text: TextStates, i: int) -> TextStates:
    """One caption by itself, without padding."""
    length = int(text.mask_BM[i].sum())
    return TextStates(text.states_BME[i : i + 1, :length], text.mask_BM[i : i + 1, :length])


def same(a: Generation, b: Generation) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.bits, b.bits, strict=True))


@pytest.mark.parametrize(("schedule", "patchify"), [(SQUARE, 1), (WIDE, 1), (SQUARE, 2)])
def test_features_are_the_sum_of_up_sampled_codes_of_all_bits(schedule: Any, patchify: int) -> None:
    model = tiny_model(token_bits=4 * patchify**2)
    drawn = generate(
        model, tiny_text(), schedule, SamplingConfig(), patchify=patchify, generators=seeds(0, 1)
    )
    latent = schedule.latent(patchify)
    assert [bits.shape for bits in drawn.bits] == [(2, 4, *scale) for scale in latent]
    total = sum(bilinear_up(bits_to_codes(bits), latent.final) for bits in drawn.bits)
    torch.testing.assert_close(drawn.features_BDHW, total, **TOL[torch.float32])


@pytest.mark.parametrize("head", ["bitwise", "indexwise"])
def test_an_image_depends_on_its_own_seed_and_text_only(head: str) -> None:
    model, text = tiny_model(head=head), tiny_text((3, 5, 4))
    together = generate(model, text, SQUARE, SamplingConfig(), generators=seeds(5, 6, 7))
    for i in range(3):
        alone = generate(model, row(text, i), SQUARE, SamplingConfig(), generators=seeds(5 + i))
        for ours, expected in zip(together.bits, alone.bits, strict=True):
            assert torch.equal(ours[i : i + 1], expected)
    other = generate(model, text, SQUARE, SamplingConfig(), generators=seeds(5, 9, 7))
    assert torch.equal(other.bits[2][0], together.bits[2][0])
    assert not torch.equal(other.bits[2][1], together.bits[2][1])


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_guidance_extrapolates_from_the_unconditional_logits(guidance: float) -> None:
    conditional, unconditional = torch.randn(2, 2, 3, 4)
    mixed = apply_guidance(torch.cat([conditional, unconditional]), guidance, 2)
    expected = guidance * conditional + (1 - guidance) * unconditional
    torch.testing.assert_close(mixed, expected, **TOL[torch.float32])


def test_without_an_unconditional_half_logits_stay_as_they_are() -> None:
    logits = torch.randn(2, 3, 4)
    assert apply_guidance(logits, 1.0, 2) is logits


@pytest.mark.parametrize("negative", [False, True])
def test_guided_logits_mix_the_text_with_what_guidance_leads_away_from(negative: bool) -> None:
    model, text, away = tiny_model(), tiny_text((3, 5)), tiny_text((4, 2))
    config = SamplingConfig(guidance=(3.0, 0.5, 2.0), temperature=0)
    drawn = generate(model, text, SQUARE, config, negative_text=away if negative else None)
    conditional = ScaleDecoder(model, text, SQUARE)
    unconditional = (
        ScaleDecoder(model, away, SQUARE)
        if negative
        else ScaleDecoder(model, text, SQUARE, drop_B=torch.tensor([True, True]))
    )
    total = torch.zeros(1)
    with torch.no_grad():
        for k, guidance in enumerate((3.0, 0.5, 2.0)):
            resized = torch.nn.functional.interpolate(total, size=SQUARE[k], mode="bilinear") if k else None
            inputs = None if resized is None else resized.flatten(2).transpose(1, 2)
            logits = guidance * conditional.step(k, inputs) + (1 - guidance) * unconditional.step(k, inputs)
            bits = (logits > 0).transpose(1, 2).unflatten(2, tuple(SQUARE[k]))
            assert torch.equal(bits, drawn.bits[k]), f"scale {k + 1}"
            total = total + bilinear_up(bits_to_codes(bits), SQUARE.final)


def batch_sizes(monkeypatch: pytest.MonkeyPatch, config: SamplingConfig) -> list[int]:
    sizes = []
    step = ScaleDecoder.step

    def counting_step(self: ScaleDecoder, k: int, inputs_BLD: Tensor | None) -> Tensor:
        logits = step(self, k, inputs_BLD)
        sizes.append(len(logits))
        return logits

    monkeypatch.setattr(ScaleDecoder, "step", counting_step)
    generate(tiny_model(), tiny_text(), SQUARE, config, generators=seeds(0, 1))
    return sizes


@pytest.mark.parametrize(
    ("guidance", "sizes"),
    [(3.0, [4, 4, 4]), (1.0, [2, 2, 2]), ((1.0, 3.0, 1.0), [4, 4, 2]), ((3.0, 1.0, 1.0), [4, 2, 2])],
)
def test_the_unconditional_half_is_computed_up_to_the_last_guided_scale(
    monkeypatch: pytest.MonkeyPatch, guidance: Any, sizes: list[int]
) -> None:
    assert batch_sizes(monkeypatch, SamplingConfig(guidance=guidance)) == sizes


def test_dropping_the_unconditional_half_early_changes_nothing() -> None:
    model, text = tiny_model(), tiny_text()
    early, late = (
        generate(model, text, SQUARE, SamplingConfig(guidance=g), generators=seeds(0, 1))
        for g in ((3.0, 1.0, 1.0), (3.0, 1.0, 1.0 + 1e-9))
    )
    assert same(early, late)


def test_settings_per_scale_apply_to_their_scale() -> None:
    model, text = tiny_model(), tiny_text()
    greedy_end = SamplingConfig(guidance=1, temperature=(1, 1, 0))
    first, second = (generate(model, text, SQUARE, greedy_end, generators=seeds(s, s)) for s in (0, 1))
    assert not torch.equal(first.bits[1], second.bits[1])
    again = generate(model, text, SQUARE, greedy_end, generators=seeds(7, 8), known=KnownBits(first.bits[:2]))
    assert torch.equal(again.bits[2], first.bits[2])


def test_forced_scales_are_kept_and_the_rest_is_drawn_given_them() -> None:
    model, text = tiny_model(), tiny_text()
    source = generate(model, text, SQUARE, SamplingConfig(), generators=seeds(0, 1))
    other = generate(
        model, text, SQUARE, SamplingConfig(), generators=seeds(2, 3), known=KnownBits([None, source.bits[1]])
    )
    assert torch.equal(other.bits[1], source.bits[1])
    assert not torch.equal(other.bits[0], source.bits[0])
    assert not torch.equal(other.bits[2], source.bits[2])


def test_masks_force_a_part_of_the_cells() -> None:
    model, text = tiny_model(), tiny_text()
    source = generate(model, text, SQUARE, SamplingConfig(), generators=seeds(0, 1))
    masks = [torch.zeros(1, 1, *scale, dtype=torch.bool) for scale in SQUARE]
    masks[2][..., :2] = True
    drawn = generate(
        model,
        text,
        SQUARE,
        SamplingConfig(),
        generators=seeds(2, 3),
        known=KnownBits(source.bits, masks),
    )
    assert torch.equal(drawn.bits[2][..., :2], source.bits[2][..., :2])
    assert not torch.equal(drawn.bits[2][..., 2:], source.bits[2][..., 2:])


def test_the_hook_sees_every_scale_and_the_running_sum() -> None:
    seen: list[tuple[int, Tensor, Tensor]] = []
    drawn = generate(
        tiny_model(), tiny_text(), SQUARE, GREEDY, on_scale_end=lambda *scale: seen.append(scale)
    )
    assert [k for k, _, _ in seen] == [0, 1, 2]
    assert all(torch.equal(bits, drawn.bits[k]) for k, bits, _ in seen)
    assert torch.equal(seen[-1][2], drawn.features_BDHW)
    first = bilinear_up(bits_to_codes(drawn.bits[0]), SQUARE.final)
    torch.testing.assert_close(seen[0][2], first, **TOL[torch.float32])


def test_codes_may_come_from_a_code_book() -> None:
    drawn = generate(
        tiny_model(), tiny_text(), SQUARE, GREEDY, codes_from_bits=lambda bits: 2 * bits_to_codes(bits)
    )
    total = sum(bilinear_up(2 * bits_to_codes(bits), SQUARE.final) for bits in drawn.bits)
    torch.testing.assert_close(drawn.features_BDHW, total, **TOL[torch.float32])


def test_greedy_drawing_needs_no_generator_and_any_other_does() -> None:
    model, text = tiny_model(), tiny_text()
    assert same(generate(model, text, SQUARE, GREEDY), generate(model, text, SQUARE, GREEDY))
    with pytest.raises(ValueError, match=r"pass one torch\.Generator per image"):
        generate(model, text, SQUARE, SamplingConfig())
    with pytest.raises(ValueError, match="got 1 for 2 images"):
        generate(model, text, SQUARE, SamplingConfig(), generators=seeds(0))


def test_guidance_stacks_the_text_on_the_null_condition_or_the_negative_text() -> None:
    text, away = tiny_text((3, 5)), tiny_text((6, 2))
    both, drop = guidance_batch(text, None)
    assert drop is not None
    assert drop.tolist() == [False, False, True, True]
    assert both.mask_BM.sum(1).tolist() == [3, 5, 3, 5]
    both, drop = guidance_batch(text, away)
    assert drop is None
    assert both.states_BME.shape == (4, 6, 24)
    assert both.mask_BM.sum(1).tolist() == [3, 5, 6, 2]
    assert torch.equal(both.states_BME[:2, :5], text.states_BME)
    with pytest.raises(ValueError, match="one negative text per caption: got 2 for 1"):
        guidance_batch(row(text, 0), away)


def test_more_scales_than_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="embeds 2 scales"):
        generate(tiny_model(max_scales=2), tiny_text(), SQUARE, GREEDY)
