"""Quantizers against the official ones: codes, bits, penalties and gradients."""

from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers import BSQ, LFQ, QuantizerConfig, build_quantizer, pack_ids, unpack_ids
from infinity.resample import area_down
from infinity.schedules import ScaleSchedule
from tests.parity.ledger import Ledger
from tests.parity.official import bits_of, recorded_bits

LIMIT = 1e-5  # relative to the largest value


def gradient(loss: Tensor, z: Tensor) -> Tensor:
    return torch.autograd.grad(loss, z, retain_graph=True)[0]


@pytest.mark.recorded("quantizer")
def test_binary_spherical_quantization_matches(ledger: Ledger) -> None:
    for name, detach in (("ms", True), ("ms_nodetach", False)):
        compare_scales(ledger, name, detach)
    compare_single_scale(ledger)
    temperatures = {match[1] for name in ledger.names() if (match := re.search(r"\.T([\d.]+)$", name))}
    for temperature in sorted(temperatures):
        compare_penalties(ledger, temperature)
    ledger.settle()


def compare_scales(ledger: Ledger, name: str, detach: bool) -> None:
    """All scales of a pyramid, with and without gradients through the residuals."""
    if f"{name}.zq" not in ledger:
        return
    recorded = recorded_bits(ledger, "ms.s")
    schedule = ScaleSchedule(tuple((bits.shape[2], bits.shape[3]) for bits in recorded))
    ours = [[1, *scale] for scale in schedule]
    assert ours == ledger.meta.get("scale_schedule", ours)
    z = ledger["z_in"].clone().requires_grad_()
    quantizer = build_quantizer(QuantizerConfig(num_bits=z.shape[1], detach_residual=detach))
    codes = quantizer(z, schedule)
    for k, bits in enumerate(codes.bits):
        ledger.equal(f"{name}.s{k}.bits", bits, bits_of)
        following = schedule[min(k + 1, len(schedule) - 1)]
        smaller = area_down(quantizer.sum_codes(recorded[: k + 1], schedule), following)
        floor = z.shape[1] ** -0.5  # of one code: the first ones may cancel out
        ledger.relative(f"{name}.s{k}.var_input_next_area", smaller[:, :, None], LIMIT, floor=floor)
    ledger.relative(f"{name}.zq", codes.features_BDHW, LIMIT)
    ledger.relative(f"{name}.grad_z", gradient((codes.features_BDHW * ledger["w"]).sum(), z), LIMIT)
    # the official release computes no penalties and says 0; its formulas are recorded as "loss"
    ledger.equal(f"{name}.all_losses", torch.zeros(len(schedule)))


def compare_single_scale(ledger: Ledger) -> None:
    z = ledger["z_in"].clone().requires_grad_()
    output = BSQ(QuantizerConfig(num_bits=z.shape[1]))(z)
    ledger.equal("bsq.bits", output.bits_BDHW, bits_of)
    ledger.relative("bsq.quantized", output.codes_BDHW, LIMIT)
    ledger.relative("bsq.grad_z", gradient((output.codes_BDHW * ledger["w"]).sum(), z), LIMIT)
    ledger.equal("bsq.aux_loss", torch.zeros(()))
    commitment = output.losses["commitment"]
    ledger.relative("loss.commit", commitment, LIMIT)
    ledger.relative("loss.commit.grad_z", gradient(commitment, z), LIMIT)


def compare_penalties(ledger: Ledger, temperature: str) -> None:
    """Penalties and their gradients, within what the recorded values themselves are off in float32.

    Where all bits are nearly fair coins, entropies are nearly flat and gradients small differences of large
    numbers: recorded ones are then farther than 1e-5 from their own formula in float64.
    """
    inv_temperature = float(temperature)
    z = ledger["z_in"].clone().requires_grad_()
    z64 = ledger["z_in"].double().requires_grad_()
    config = QuantizerConfig(num_bits=z.shape[1], inv_temperature=inv_temperature)
    losses = BSQ(config)(z).losses
    ours = {
        "persample": losses["entropy_sample"],
        "codebook": losses["entropy_batch"],
        "aux": config.weigh(losses),
    }
    exact = penalties_in_float64(z64, inv_temperature)
    # aux is a small difference of entropies: their rounding counts
    floor = 0.1 * exact["persample"].item() / inv_temperature
    for name, value in ours.items():
        for tensor, actual, true in (
            (f"loss.{name}.T{temperature}", value, exact[name]),
            (f"loss.{name}.T{temperature}.grad_z", gradient(value, z), gradient(exact[name], z64)),
        ):
            if tensor not in ledger:
                continue
            rounding = (ledger[tensor] - true).abs().max() / true.abs().max()
            assert rounding < 1e-3, f"{tensor} was not recorded from the formula"
            ledger.relative(tensor, actual, LIMIT + 2 * rounding.item(), floor=0 if actual.ndim else floor)


def penalties_in_float64(z_BDHW: Tensor, inv_temperature: float) -> dict[str, Tensor]:
    """The official formulas of entropies and of the weighted sum of all penalties."""
    num_bits = z_BDHW.shape[1]
    unit = F.normalize(z_BDHW, dim=1)
    p = torch.sigmoid(4 * unit * inv_temperature / num_bits**0.5)
    coins = torch.stack([p, 1 - p])

    def entropy(coins: Tensor) -> Tensor:
        return -(coins * (coins + 1e-8).log()).sum(dim=0)

    sample = entropy(coins).sum(dim=1).mean()
    batch = entropy(coins.mean(dim=(1, 3, 4))).sum()
    commitment = F.mse_loss(unit, torch.where(unit > 0, 1.0, -1.0).double() / num_bits**0.5)
    aux = 0.25 * commitment + 0.1 * (sample - batch) / inv_temperature
    return {"persample": sample, "codebook": batch, "aux": aux}


@pytest.mark.recorded("lookup_free")
def test_lookup_free_quantization_matches(ledger: Ledger) -> None:
    """Unless spherical, theirs has codes +-1, so features, inverse temperature and losses scale with it."""
    num_bits = ledger["z_in"].shape[1]
    for name in sorted({name.partition(".")[0] for name in ledger.names() if "." in name}):
        spherical = {"plain": False, "spherical": True}[name]
        unit = 1.0 if spherical else num_bits**0.5
        z = ledger["z_in"].clone().requires_grad_()
        config = QuantizerConfig(kind="lfq", num_bits=num_bits, inv_temperature=100 * unit**2)
        output = LFQ(config)(F.normalize(z, dim=1) if spherical else z / unit)
        codes, losses = output.codes_BDHW * unit, output.losses
        commitment = losses["commitment"] * unit**2
        aux = 0.1 * (losses["entropy_sample"] - losses["entropy_batch"]) + 0.25 * commitment
        ledger.equal(f"{name}.indices", pack_ids(output.bits_BDHW.movedim(1, -1)))
        ledger.relative(f"{name}.quantized", codes, LIMIT)
        ledger.relative(f"{name}.commitment", commitment, LIMIT)
        ours = {
            "per_sample_entropy": losses["entropy_sample"],
            "batch_entropy": losses["entropy_batch"],
            "aux_loss": aux,
            "grad_z": gradient((codes * ledger["w"]).sum() + aux, z),
        }
        # theirs clamps probabilities inside the logarithm, which moves entropies and gradients a little
        exact, clamped = (lookup_free_in_float64(ledger, spherical, clamp) for clamp in (1e-300, 1e-5))
        for tensor, value in ours.items():
            clamping = (exact[tensor] - clamped[tensor]).abs().max() / clamped[tensor].abs().max()
            ledger.relative(f"{name}.{tensor}", value, LIMIT + clamping.item())
    ledger.settle()


def lookup_free_in_float64(ledger: Ledger, spherical: bool, clamp: float) -> dict[str, Tensor]:
    """The formulas of the recorded penalties (inverse temperature 100) and of the recorded gradient."""
    z = ledger["z_in"].double().requires_grad_()
    num_bits = z.shape[1]
    x, unit = (F.normalize(z, dim=1), num_bits**-0.5) if spherical else (z, 1.0)
    bits = unpack_ids(torch.arange(2**num_bits), num_bits)
    codebook = torch.where(bits, unit, -unit).double()
    prob = (200 * x.movedim(1, -1).flatten(0, 2) @ codebook.T).softmax(dim=1)

    def entropy(prob: Tensor) -> Tensor:
        return -(prob * prob.clamp_min(clamp).log()).sum(dim=-1)

    sample, batch = entropy(prob).mean(), entropy(prob.mean(dim=0))
    aux = 0.1 * (sample - batch) + 0.25 * F.mse_loss(x, torch.where(x > 0, unit, -unit).double())
    grad_z = gradient((x * ledger["w"]).sum() + aux, z)
    return {"per_sample_entropy": sample, "batch_entropy": batch, "aux_loss": aux, "grad_z": grad_z}
