from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infinity.quantizers.bits import bits_to_codes, unpack_ids
from infinity.quantizers.entropy import exact_entropies, factorised_entropies

INV_TEMPERATURE = 3.0


def unit_cells(num_bits: int, cells: int = 6) -> Tensor:
    z_BDHW = torch.randn(1, num_bits, cells, 1, dtype=torch.float64)
    return (z_BDHW / z_BDHW.norm(dim=1, keepdim=True)).requires_grad_()


def coin_logits(z_BDHW: Tensor) -> Tensor:
    return 4 * INV_TEMPERATURE * z_BDHW / z_BDHW.shape[1] ** 0.5


def code_logits(z_BDHW: Tensor) -> Tensor:
    num_bits = z_BDHW.shape[1]
    codebook_VD = bits_to_codes(unpack_ids(torch.arange(2**num_bits), num_bits), dtype=torch.float64)
    return 2 * INV_TEMPERATURE * z_BDHW.movedim(1, -1).flatten(0, 2) @ codebook_VD.T


@pytest.mark.parametrize("num_bits", range(1, 11))
def test_factorised_sample_entropy_equals_enumeration_with_its_gradient(num_bits: int) -> None:
    z = unit_cells(num_bits)
    factorised = factorised_entropies(coin_logits(z), sync=False).sample
    exact = exact_entropies(code_logits(z), sync=False).sample
    torch.testing.assert_close(factorised, exact)
    torch.testing.assert_close(*(torch.autograd.grad(value, z)[0] for value in (factorised, exact)))


@pytest.mark.parametrize("num_bits", range(1, 11))
def test_factorised_batch_entropy_sums_the_enumerated_marginals_and_bounds_the_joint(num_bits: int) -> None:
    z = unit_cells(num_bits)
    factorised = factorised_entropies(coin_logits(z), sync=False).batch
    mean_V = code_logits(z).softmax(dim=1).mean(dim=0)
    ones_D = unpack_ids(torch.arange(2**num_bits), num_bits).double().T @ mean_V
    marginals = torch.special.entr(ones_D) + torch.special.entr(1 - ones_D)
    # the official 1e-8 inside the logarithm moves the value that much per bit
    torch.testing.assert_close(factorised, marginals.sum(), rtol=0, atol=1e-7 * num_bits)
    assert factorised >= exact_entropies(code_logits(z), sync=False).batch - 1e-6


@pytest.mark.parametrize("num_bits", [1, 4, 8])
def test_batch_entropies_of_a_single_cell_agree_with_its_sample_entropy(num_bits: int) -> None:
    z = unit_cells(num_bits, cells=1)
    for entropies in (
        factorised_entropies(coin_logits(z), sync=False),
        exact_entropies(code_logits(z), sync=False),
    ):
        torch.testing.assert_close(entropies.batch, entropies.sample, rtol=0, atol=1e-5)


def test_a_fair_coin_has_the_entropy_of_one_bit() -> None:
    entropies = factorised_entropies(torch.zeros(2, 5, 3, 3), sync=False)
    assert entropies.sample.item() == pytest.approx(5 * 0.6931472)
    assert entropies.batch.item() == pytest.approx(5 * 0.6931472)


def test_gradients_stay_finite_where_bits_are_certain() -> None:
    logits = torch.full((1, 3, 2, 2), 200.0, requires_grad=True)
    sum(factorised_entropies(logits, sync=False)).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    logits_NV = torch.tensor([[500.0, 0.0], [500.0, 0.0]], requires_grad=True)
    sum(exact_entropies(logits_NV, sync=False)).backward()
    assert logits_NV.grad is not None
    assert logits_NV.grad.isfinite().all()
