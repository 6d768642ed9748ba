from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers import MultiScaleResidual, QuantizerConfig, build_quantizer
from infinity.schedules import ScaleSchedule

SCHEDULE = ScaleSchedule(((1, 1), (2, 2), (3, 2), (6, 4)))
KINDS = ["bsq", "lfq", "vq"]


def build(**options: Any) -> MultiScaleResidual:
    return build_quantizer(QuantizerConfig(**({"num_bits": 5} | options)))


def features(batch: int = 2) -> Tensor:
    return torch.randn(batch, 5, 6, 4)


def naive(z: Tensor, *, detach: bool) -> Tensor:
    """The residual loop for BSQ, in 5-D as the official code writes it."""
    residual, total = z.unsqueeze(2), torch.zeros_like(z).unsqueeze(2)
    for h, w in SCHEDULE:
        unit = F.normalize(F.interpolate(residual, size=(1, h, w), mode="area"), dim=1)
        code = torch.where(unit > 0, 1.0, -1.0) / z.shape[1] ** 0.5
        code = unit + (code - unit).detach()
        up = F.interpolate(code, size=(1, 6, 4), mode="trilinear", align_corners=False)
        residual = residual - (up.detach() if detach else up)
        total = total + up
    return total.squeeze(2)


@pytest.mark.parametrize("detach", [True, False])
def test_the_loop_and_its_gradient_are_the_official_ones(detach: bool) -> None:
    z, cotangent = features().requires_grad_(), features()
    actual = build(detach_residual=detach)(z, SCHEDULE).features_BDHW
    expected = naive(z, detach=detach)
    torch.testing.assert_close(actual, expected)
    grads = [torch.autograd.grad((value * cotangent).sum(), z)[0] for value in (actual, expected)]
    torch.testing.assert_close(*grads)
    other = torch.autograd.grad((naive(z, detach=not detach) * cotangent).sum(), z)[0]
    assert not torch.allclose(grads[0], other), "detaching has to make a difference"


@pytest.mark.parametrize("kind", KINDS)
def test_the_bits_alone_rebuild_the_features_exactly(kind: str) -> None:
    quantizer = build(kind=kind)
    codes = quantizer(features(), SCHEDULE)
    assert [tuple(bits.shape) for bits in codes.bits] == [(2, 5, h, w) for h, w in SCHEDULE]
    assert torch.equal(quantizer.sum_codes(codes.bits, SCHEDULE), codes.features_BDHW)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_means_over_scales(kind: str) -> None:
    quantizer, z = build(kind=kind), features()
    one_scale = ScaleSchedule(((6, 4),))
    inner = quantizer.quantizer(z)
    for name, value in quantizer(z, one_scale).losses.items():
        torch.testing.assert_close(value, inner.losses[name])
    two = ScaleSchedule(((1, 1), (6, 4)))
    coarse = quantizer.quantizer(z.mean(dim=(2, 3), keepdim=True))
    fine = quantizer.quantizer(z - coarse.codes_BDHW)
    for name, value in quantizer(z, two).losses.items():
        torch.testing.assert_close(value, (coarse.losses[name] + fine.losses[name]) / 2)


def test_a_prefix_of_the_bits_is_a_coarser_image() -> None:
    quantizer, z = build(), features()
    bits = quantizer(z, SCHEDULE).bits
    coarse = quantizer.sum_codes(bits[:1], SCHEDULE)
    torch.testing.assert_close(coarse, quantizer.quantizer.codes_from_bits(bits[0]).expand_as(z))


def test_stochastic_depth_drops_codes_of_some_samples_but_never_the_last_scale() -> None:
    quantizer, z = build(scale_depth_dropout=0.5).train(), features(batch=64)
    kept_KB = torch.rand(4, 64, generator=torch.Generator().manual_seed(3)) >= 0.5
    codes = quantizer(z, SCHEDULE, generator=torch.Generator().manual_seed(3))
    expected = torch.zeros_like(z)
    for k, bits in enumerate(codes.bits):
        up = F.interpolate(quantizer.quantizer.codes_from_bits(bits), size=(6, 4), mode="bilinear")
        expected += up if k == 3 else up * kept_KB[k].view(-1, 1, 1, 1)
    torch.testing.assert_close(codes.features_BDHW, expected)
    full = build()(z, SCHEDULE)
    untouched = kept_KB[:3].all(dim=0)
    assert 0 < untouched.sum() < 64
    torch.testing.assert_close(codes.features_BDHW[untouched], full.features_BDHW[untouched])
    assert not torch.allclose(codes.features_BDHW[~untouched], full.features_BDHW[~untouched])


def test_stochastic_depth_is_for_training_only_and_asks_for_a_generator() -> None:
    quantizer, z = build(scale_depth_dropout=0.5), features()
    with pytest.raises(ValueError, match=r"pass a torch\.Generator"):
        quantizer.train()(z, SCHEDULE)
    full = build()(z, SCHEDULE).features_BDHW
    with torch.no_grad():
        assert torch.equal(quantizer.train()(z, SCHEDULE).features_BDHW, full), "a preview is no training"
    assert torch.equal(quantizer.eval()(z, SCHEDULE).features_BDHW, full)


def test_features_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="ends at 6x4 latent cells but the features are 4x6"):
        build()(torch.randn(1, 5, 4, 6), SCHEDULE)
    with pytest.raises(ValueError, match="ends at 6x4 latent cells but the features are 4x6"):
        build().bits_of(torch.randn(1, 5, 4, 6), SCHEDULE)


@pytest.mark.parametrize(
    ("sizes", "got"), [([], "none"), ([(1, 1), (3, 2)], "1x1 3x2"), ([(1, 1)] * 5, "1x1 1x1")]
)
def test_bits_of_another_schedule_are_refused(sizes: list[tuple[int, int]], got: str) -> None:
    bits = [torch.ones(1, 5, *size, dtype=torch.bool) for size in sizes]
    with pytest.raises(ValueError, match=f"first scales of 1x1 2x2 3x2 6x4 latent cells, got {got}"):
        build().sum_codes(bits, SCHEDULE)


def test_half_precision_features_are_coded_in_fp32() -> None:
    z = features()
    with torch.autocast("cpu", torch.bfloat16):
        codes = build()(z.bfloat16(), SCHEDULE)
    assert codes.features_BDHW.dtype == torch.float32
    assert torch.equal(codes.features_BDHW, build()(z.bfloat16().float(), SCHEDULE).features_BDHW)


@pytest.mark.parametrize("kind", KINDS)
def test_bits_are_those_of_the_forward_pass_without_its_losses(kind: str) -> None:
    quantizer, z = build(kind=kind), features(batch=64).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        expected = quantizer(z, SCHEDULE).bits
        runs: list[Any] = []
        quantizer.quantizer.register_forward_hook(lambda *run: runs.append(run))
        bits = quantizer.bits_of(z, SCHEDULE)
    assert runs == []
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(bits, expected, strict=True))
