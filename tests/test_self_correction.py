"""Bitwise self-correction."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers import QuantizerConfig, build_quantizer
from infinity.quantizers.bits import bits_to_codes, patchify_bits
from infinity.schedules import ScaleSchedule, build_schedule
from infinity.self_correction import SelfCorrectionConfig, TeacherForcing, self_correct
from tests.tolerances import TOL

SCHEDULE = build_schedule(1.0, (1, 2, 3, 4))
WIDE = ScaleSchedule(((1, 1), (1, 2), (2, 3), (3, 5)))
OFF = SelfCorrectionConfig(mode="off")


def features(schedule: ScaleSchedule = SCHEDULE, batch_size: int = 2, num_bits: int = 5) -> Tensor:
    return torch.randn(batch_size, num_bits, *schedule.final)


def random_masks(schedule: ScaleSchedule, share: float = 0.3) -> list[Tensor]:
    return [torch.rand(2, 5, *scale) < share for scale in schedule]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_definition(z: Tensor, schedule: ScaleSchedule, masks: list[Tensor], mode: str) -> TeacherForcing:
    """Paper Eq. 6, with torch's own interpolation and both histories kept apart."""
    size = schedule.final
    clean, noisy = torch.zeros_like(z), torch.zeros_like(z)
    inputs, labels = [], []
    for k, scale in enumerate(schedule):
        residual = F.interpolate(z - (noisy if mode == "full" else clean), size=scale, mode="area")
        bits = residual > 0
        labels.append(bits.flatten(2).transpose(1, 2))
        codes, flipped_codes = bits_to_codes(bits), bits_to_codes(bits ^ masks[k])
        clean = clean + F.interpolate(codes, size=size, mode="bilinear")
        noisy = noisy + F.interpolate(flipped_codes, size=size, mode="bilinear")
        if k + 1 < len(schedule):
            inputs.append(
                F.interpolate(noisy, size=schedule[k + 1], mode="bilinear").flatten(2).transpose(1, 2)
            )
    return TeacherForcing(torch.cat(inputs, 1), torch.cat(labels, 1))


@pytest.mark.parametrize("schedule", [SCHEDULE, WIDE], ids=str)
@pytest.mark.parametrize("mode", ["flip_only", "full"])
def test_inputs_and_labels_follow_the_definition(schedule: ScaleSchedule, mode: Any) -> None:
    z, masks = features(schedule), random_masks(schedule)
    ours = self_correct(z, schedule, SelfCorrectionConfig(mode=mode), flip_masks=masks)
    expected = by_definition(z, schedule, masks, mode)
    torch.testing.assert_close(ours.inputs_BLD, expected.inputs_BLD, **TOL[torch.float32])
    assert torch.equal(ours.labels_BLD, expected.labels_BLD)


@pytest.mark.parametrize("mode", ["flip_only", "full"])
def test_without_flips_every_mode_is_teacher_forcing(mode: Any) -> None:
    z = features()
    plain = self_correct(z, SCHEDULE, OFF)
    for config, masks in (
        (SelfCorrectionConfig(mode=mode, max_flip=0), None),
        (
            SelfCorrectionConfig(mode=mode),
            [torch.zeros(2, 5, *scale, dtype=torch.bool) for scale in SCHEDULE],
        ),
        (SelfCorrectionConfig(mode=mode), []),
    ):
        forcing = self_correct(z, SCHEDULE, config, generator=seeded(), flip_masks=masks)
        torch.testing.assert_close(forcing.inputs_BLD, plain.inputs_BLD, **TOL[torch.float32])
        assert torch.equal(forcing.labels_BLD, plain.labels_BLD)


def test_off_ignores_randomness() -> None:
    z = features()
    forcing = self_correct(z, SCHEDULE, OFF, generator=seeded())
    assert torch.equal(forcing.inputs_BLD, self_correct(z, SCHEDULE, OFF).inputs_BLD)


def test_flip_only_disturbs_inputs_and_keeps_labels_while_full_repairs_them() -> None:
    z = features()
    plain = self_correct(z, SCHEDULE, OFF)
    flipped, full = (
        self_correct(z, SCHEDULE, SelfCorrectionConfig(mode=mode), generator=seeded())
        for mode in ("flip_only", "full")
    )
    assert not torch.allclose(flipped.inputs_BLD, plain.inputs_BLD)
    assert torch.equal(flipped.labels_BLD, plain.labels_BLD)
    assert not torch.equal(full.labels_BLD, plain.labels_BLD)
    assert torch.equal(full.labels_BLD[:, :1], plain.labels_BLD[:, :1])  # nothing is flipped before scale 1


def test_requantised_labels_bring_the_sum_closer_to_the_features() -> None:
    z = features(batch_size=64)
    z = z / z.norm(dim=1, keepdim=True)
    errors = {}
    for mode in ("flip_only", "full"):
        forcing = self_correct(z, SCHEDULE, SelfCorrectionConfig(mode=mode, max_flip=0.4), generator=seeded())
        last = slice(SCHEDULE.offsets[-2], None)
        repaired = forcing.inputs_BLD[:, -16:] + bits_to_codes(forcing.labels_BLD[:, last], dim=-1)
        errors[mode] = (repaired - patchify_bits(z, 1)).square().mean().item()
    assert errors["full"] < 0.9 * errors["flip_only"]


def test_flips_of_the_last_scale_have_no_effect() -> None:
    z, masks = features(), random_masks(SCHEDULE)
    config = SelfCorrectionConfig()
    with_last, without = (self_correct(z, SCHEDULE, config, flip_masks=m) for m in (masks, masks[:-1]))
    assert torch.equal(with_last.inputs_BLD, without.inputs_BLD)
    assert torch.equal(with_last.labels_BLD, without.labels_BLD)


def flipped_shares(config: SelfCorrectionConfig, batch_size: int, seed: int) -> Tensor:
    """Share of flipped bits (B,) at the first scale, read back from the inputs of a 1x1 -> 1x2 schedule."""
    z = features(ScaleSchedule(((1, 1), (1, 2))), batch_size, num_bits=2000)
    schedule = ScaleSchedule(((1, 1), (1, 2)))
    forcing = self_correct(z, schedule, config, generator=seeded(seed))
    return ((forcing.inputs_BLD[:, 0] > 0) != forcing.labels_BLD[:, 0]).float().mean(1)


def test_the_share_of_flips_is_drawn_per_batch_from_0_to_the_maximum() -> None:
    shares = torch.stack([flipped_shares(SelfCorrectionConfig(), 2, seed) for seed in range(150)])
    assert (shares[:, 0] - shares[:, 1]).abs().max() < 0.06  # one share for the batch
    assert 0 <= shares.min() < 0.02
    assert 0.28 < shares.max() < 0.34
    assert shares.mean().item() == pytest.approx(0.15, abs=0.02)


def test_the_share_of_flips_can_be_drawn_per_sample() -> None:
    shares = flipped_shares(SelfCorrectionConfig(draw="sample"), 100, 0)
    assert shares.std() > 0.05
    assert shares.mean().item() == pytest.approx(0.15, abs=0.03)
    assert shares.max() < 0.34


def test_only_the_first_scales_are_disturbed_if_asked() -> None:
    z = features()
    plain, forcing = (
        self_correct(z, SCHEDULE, config, generator=seeded())
        for config in (OFF, SelfCorrectionConfig(mode="flip_only", num_scales=1))
    )
    difference = forcing.inputs_BLD - plain.inputs_BLD
    assert difference[:, :4].abs().max() > 0.1
    rest = [difference[:, tokens.start - 1 : tokens.stop - 1] for tokens in SCHEDULE.slices[2:]]
    for scale in rest:  # a flip at 1x1 shifts whole channels by the same amount at every finer scale
        torch.testing.assert_close(scale, difference[:, :1].expand_as(scale), **TOL[torch.float32])


def test_flips_depend_on_the_generator_only() -> None:
    z = features()
    runs = []
    for seed in (0, 0, 1):
        torch.rand(3)
        runs.append(self_correct(z, SCHEDULE, SelfCorrectionConfig(), generator=seeded(seed)).inputs_BLD)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_patches_of_latent_cells_become_tokens() -> None:
    latent = SCHEDULE.latent(2)
    z = features(latent)
    masks = random_masks(latent)
    tokens = self_correct(z, SCHEDULE, SelfCorrectionConfig(), patchify=2, flip_masks=masks)
    cells = self_correct(z, latent, SelfCorrectionConfig(), flip_masks=masks)
    assert tokens.inputs_BLD.shape == (2, SCHEDULE.seq_len - 1, 20)
    assert tokens.labels_BLD.shape == (2, SCHEDULE.seq_len, 20)
    for k, (scale, part) in enumerate(zip(latent, latent.slices, strict=True)):
        bits = cells.labels_BLD[:, part].transpose(1, 2).unflatten(2, tuple(scale))
        assert torch.equal(tokens.labels_BLD[:, SCHEDULE.slices[k]], patchify_bits(bits, 2))


def test_one_scale_has_no_inputs() -> None:
    schedule = ScaleSchedule(((2, 2),))
    forcing = self_correct(features(schedule), schedule, SelfCorrectionConfig(), generator=seeded())
    assert forcing.inputs_BLD.shape == (2, 0, 5)
    assert forcing.labels_BLD.shape == (2, 4, 5)


def test_flipping_needs_a_generator() -> None:
    with pytest.raises(ValueError, match=r"pass a torch\.Generator"):
        self_correct(features(), SCHEDULE, SelfCorrectionConfig())


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="ends at 3x5 latent cells, the features are 4x4"):
        self_correct(features(), WIDE, OFF)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_flip": 1.5}, r"max_flip .* must be in \[0, 1\], got 1.5"),
        ({"max_flip": 0.305}, "max_flip must be a multiple of 0.01.* got 0.305"),
        ({"num_scales": -1}, "num_scales"),
    ],
)
def test_impossible_configurations_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfCorrectionConfig(**options)


def test_every_hundredth_is_a_share_of_flips() -> None:
    for percent in range(101):
        SelfCorrectionConfig(max_flip=percent / 100)


@pytest.mark.parametrize("kind", ["bsq", "lfq", "vq"])
def test_labels_are_made_without_the_quantizers_losses(kind: Any) -> None:
    quantizer = build_quantizer(QuantizerConfig(kind=kind, num_bits=5)).quantizer
    losses: list[Any] = []
    quantizer.register_forward_hook(lambda _module, _inputs, output: losses.append(output.losses))
    self_correct(features(), SCHEDULE, SelfCorrectionConfig(), generator=seeded(), quantizer=quantizer)
    assert losses == []
