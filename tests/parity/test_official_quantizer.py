"""Quantizers against the official ones: codes, bits, penalties and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers import BSQ, LFQ, QuantizerConfig, build_quantizer, pack_ids
from infinity.schedules import ScaleSchedule

SCHEDULE = ScaleSchedule(((1, 1), (2, 2), (4, 4), (6, 6), (8, 8)))
BITS = [8, 16, 32, 64]


def largest_difference(actual: Tensor, expected: Tensor) -> float:
    """Relative to the largest value."""
    return ((actual - expected).abs().max() / expected.abs().max()).item()


def grad(loss: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(loss, z, retain_graph=True)[0]


@pytest.fixture(params=BITS)
def case(request: pytest.FixtureRequest, recordings: Any) -> tuple[int, dict[str, Tensor]]:
    """Number of bits and the tensors recorded for it."""
    return request.param, recordings["quantizer"].under(f"d{request.param}.")


@pytest.mark.parametrize("detach", [True, False])
def test_multi_scale_codes_bits_and_gradients_match(
    case: tuple[int, dict[str, Tensor]], detach: bool
) -> None:
    num_bits, expected = case
    quantizer = build_quantizer(QuantizerConfig(num_bits=num_bits, detach_residual=detach))
    z = expected["z_in"].clone().requires_grad_()
    codes = quantizer(z, SCHEDULE)
    name = "ms" if detach else "ms_nodetach"
    for k, bits in enumerate(codes.bits):
        assert torch.equal(bits.movedim(1, -1), expected[f"ms.s{k}.bits"].squeeze(1).bool())
    assert largest_difference(codes.features_BDHW, expected[f"{name}.zq"]) < 1e-5
    loss = (codes.features_BDHW * expected["w"]).sum()
    assert largest_difference(grad(loss, z), expected[f"{name}.grad_z"]) < 1e-5


def test_a_single_scale_matches(case: tuple[int, dict[str, Tensor]]) -> None:
    num_bits, expected = case
    z = expected["z_in"].clone().requires_grad_()
    output = BSQ(QuantizerConfig(num_bits=num_bits))(z)
    assert torch.equal(output.bits_BDHW.movedim(1, -1), expected["bsq.bits"].bool())
    assert largest_difference(output.codes_BDHW, expected["bsq.quantized"]) < 1e-5
    loss = (output.codes_BDHW * expected["w"]).sum()
    assert largest_difference(grad(loss, z), expected["bsq.grad_z"]) < 1e-5


@pytest.mark.parametrize("inv_temperature", [100, 1])
def test_penalties_and_their_gradients_match(
    case: tuple[int, dict[str, Tensor]], inv_temperature: int
) -> None:
    num_bits, expected = case
    config = QuantizerConfig(num_bits=num_bits, inv_temperature=float(inv_temperature))
    z = expected["z_in"].clone().requires_grad_()
    losses = BSQ(config)(z).losses
    names = {
        f"persample.T{inv_temperature}": losses["entropy_sample"],
        f"codebook.T{inv_temperature}": losses["entropy_batch"],
        "commit": losses["commitment"],
        f"aux.T{inv_temperature}": config.weigh(losses),
    }
    # at T = 1 every bit is nearly a fair coin and its entropy nearly flat: recorded gradients differ from the
    # official formula in fp64 by 1.3e-4 at 64 bits (ours by 4e-5); aux is a small difference of entropies
    tolerance = 1e-5 if inv_temperature == 100 else 3e-4
    for name, value in names.items():
        assert largest_difference(value, expected[f"loss.{name}"]) < tolerance, name
        assert largest_difference(grad(value, z), expected[f"loss.{name}.grad_z"]) < tolerance, name


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("num_bits", [8, 10])
def test_lookup_free_quantization_matches(recordings: Any, num_bits: int, spherical: bool) -> None:
    """Unless spherical, theirs has codes +-1, so features, inverse temperature and losses scale with it."""
    recorded = recordings["quantizer"].under(f"lfq_d{num_bits}.")
    expected = recordings["quantizer"].under(f"lfq_d{num_bits}.{'spherical' if spherical else 'plain'}.")
    unit = 1.0 if spherical else num_bits**0.5
    z = recorded["z_in"].clone().requires_grad_()
    config = QuantizerConfig(kind="lfq", num_bits=num_bits, inv_temperature=100 * unit**2)
    output = LFQ(config)(F.normalize(z, dim=1) if spherical else z / unit)
    codes, losses = output.codes_BDHW * unit, output.losses
    assert torch.equal(pack_ids(output.bits_BDHW.movedim(1, -1)), expected["indices"])
    assert largest_difference(codes, expected["quantized"]) < 1e-5
    # theirs clamps probabilities at 1e-5 inside the logarithm, which moves entropies a little
    assert largest_difference(losses["entropy_sample"], expected["per_sample_entropy"]) < 1e-4
    assert largest_difference(losses["entropy_batch"], expected["batch_entropy"]) < 1e-4
    assert largest_difference(losses["commitment"] * unit**2, expected["commitment"]) < 1e-5
    aux = 0.1 * (losses["entropy_sample"] - losses["entropy_batch"]) + 0.25 * unit**2 * losses["commitment"]
    assert largest_difference(aux, expected["aux_loss"]) < 1e-4
    loss = (codes * recorded["w"]).sum() + aux
    assert largest_difference(grad(loss, z), expected["grad_z"]) < 2e-4
