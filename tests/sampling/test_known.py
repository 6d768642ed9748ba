"""Bits that are dictated instead of drawn."""

from __future__ import annotations

import pytest
import torch

from infinity.quantizers import QuantizerConfig, build_quantizer
from infinity.resample import area_down, bilinear_up
from infinity.sampling.known import KnownBits, KnownFeatures
from infinity.schedules import Scale, ScaleSchedule

SCHEDULE = ScaleSchedule((Scale(1, 1), Scale(2, 2), Scale(4, 4), Scale(8, 8)))


def test_bits_are_forced_where_the_mask_says_and_everywhere_without_one() -> None:
    drawn = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask = torch.tensor([[True, False], [False, False]])[None, None]
    forced = KnownBits([~drawn], [mask]).force(0, drawn, None)
    assert forced[:, :, 0, 0].all()
    assert forced.sum() == 2
    assert KnownBits([~drawn]).force(0, drawn, None).all()
    assert KnownBits([~drawn], [None]).force(0, drawn, None).all()
    assert KnownBits([None]).force(0, drawn, None) is drawn
    assert KnownBits([~drawn]).force(1, drawn, None) is drawn


def test_bits_of_one_image_serve_all_and_those_of_several_are_cut_to_the_batch() -> None:
    drawn = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    one, several = torch.rand(1, 2, 2, 2) > 0.5, torch.rand(5, 2, 2, 2) > 0.5
    assert torch.equal(KnownBits([one]).rows(slice(3, 5)).force(0, drawn, None), one.expand(2, -1, -1, -1))
    assert torch.equal(KnownBits([several]).rows(slice(3, 5)).force(0, drawn, None), several[3:])


def test_known_bits_of_another_size_are_refused() -> None:
    drawn = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"scale 1 must be \(1, 2, 2, 2\), got \(1, 2, 3, 3\)"):
        KnownBits([torch.zeros(1, 2, 3, 3, dtype=torch.bool)]).force(0, drawn, None)


def drawn_with(known: KnownFeatures | KnownBits, quantizer: torch.nn.Module) -> list[torch.Tensor]:
    """Random bits of all scales, of which some are known, and the sum of their codes at the end."""
    generator = torch.Generator().manual_seed(1)
    total, bits = None, []
    for k, scale in enumerate(SCHEDULE):
        drawn = torch.rand(1, 4, *scale, generator=generator) > 0.5
        bits.append(known.force(k, drawn, total))
        codes = bilinear_up(quantizer.codes_from_bits(bits[-1]), SCHEDULE.final)
        total = codes if total is None else total + codes
    return [*bits, total]


@pytest.mark.parametrize("kind", ["bsq", "lfq", "vq"])
def test_where_all_is_known_the_bits_are_the_tokenizers(kind: str) -> None:
    quantizer = build_quantizer(QuantizerConfig(kind=kind, num_bits=4)).eval()
    features = torch.randn(1, 4, 8, 8)
    known = KnownFeatures(features, torch.ones(1, 1, 8, 8, dtype=torch.bool), quantizer.quantizer)
    *bits, _ = drawn_with(known, quantizer.quantizer)
    for ours, expected in zip(bits, quantizer(features, SCHEDULE).bits, strict=True):
        assert torch.equal(ours, expected)


def test_cells_are_forced_from_half_known_on_by_their_known_part_alone() -> None:
    quantizer = build_quantizer(QuantizerConfig(num_bits=4)).quantizer
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :3] = True  # of the left cells of a 2 x 2 scale three quarters, of the right ones nothing
    features = torch.randn(1, 4, 8, 8)
    drawn = [torch.rand(1, 4, side, side) > 0.5 for side in (1, 2)]
    known = KnownFeatures(features, mask, quantizer)
    assert torch.equal(known.force(0, drawn[0], None), drawn[0])
    forced = known.force(1, drawn[1], torch.zeros(1, 4, 8, 8))
    assert torch.equal(forced[..., 1], drawn[1][..., 1])
    assert torch.equal(
        forced[..., 0],
        torch.stack(
            [features[:, :, rows, :3].mean((2, 3)) > 0 for rows in (slice(0, 4), slice(4, 8))], dim=-1
        ),
    )
    elsewhere = KnownFeatures(torch.where(mask, features, 100.0), mask, quantizer)
    assert torch.equal(elsewhere.force(1, drawn[1], torch.zeros(1, 4, 8, 8)), forced)


def test_known_cells_come_closer_to_their_target_than_by_the_tokenizers_own_bits() -> None:
    """The residual rule takes back what drawn neighbours spill over; plainly forced bits cannot."""
    quantizer = build_quantizer(QuantizerConfig(num_bits=4)).eval()
    target = quantizer(torch.randn(1, 4, 8, 8), SCHEDULE)
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :5] = True
    masks = [area_down(mask.float(), scale) >= 0.5 for scale in SCHEDULE]
    led = KnownFeatures(target.features_BDHW, mask, quantizer.quantizer)
    errors = []
    for known in (led, KnownBits(target.bits, masks)):
        *_, total = drawn_with(known, quantizer.quantizer)
        errors.append((total - target.features_BDHW)[..., :5].square().mean())
    assert errors[0] < 0.8 * errors[1]
