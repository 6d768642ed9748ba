from __future__ import annotations

import torch
import torch.nn.functional as F

from infinity.quantizers import VQ, QuantizerConfig, pack_ids


def vq() -> VQ:
    return VQ(QuantizerConfig(kind="vq", num_bits=4))


def test_a_cell_goes_to_the_nearest_learned_vector_and_its_bits_spell_the_index() -> None:
    quantizer, z = vq(), torch.randn(2, 4, 3, 3)
    output = quantizer(z)
    unit_codebook = F.normalize(quantizer.codebook_VD, dim=1)
    ids = pack_ids(output.bits_BDHW.movedim(1, -1))
    for cell, index in zip(F.normalize(z, dim=1).movedim(1, -1).reshape(-1, 4), ids.flatten(), strict=True):
        assert index == (unit_codebook - cell).norm(dim=1).argmin()
    torch.testing.assert_close(output.codes_BDHW, unit_codebook[ids].movedim(-1, 1))


def test_codes_of_the_bits_are_the_codes_themselves() -> None:
    quantizer = vq()
    output = quantizer(torch.randn(2, 4, 3, 3))
    torch.testing.assert_close(quantizer.codes_from_bits(output.bits_BDHW), output.codes_BDHW)


def test_cells_learn_from_the_commitment_and_vectors_from_the_codebook_loss() -> None:
    quantizer, z = vq(), torch.randn(2, 4, 3, 3, requires_grad=True)
    losses = quantizer(z).losses
    for name, reached, spared in (
        ("commitment", z, quantizer.codebook_VD),
        ("codebook", quantizer.codebook_VD, z),
    ):
        grads = torch.autograd.grad(losses[name], [reached, spared], retain_graph=True, allow_unused=True)
        assert grads[0] is not None
        assert grads[0].norm() > 0
        assert grads[1] is None, f"{name} must not move its target"


def test_the_codebook_learns_the_cells() -> None:
    torch.manual_seed(0)
    quantizer = vq()
    z = F.normalize(torch.randn(1, 4, 4, 4), dim=1)
    optimizer = torch.optim.Adam(quantizer.parameters(), lr=0.05)
    before = quantizer(z).losses["codebook"].item()
    for _ in range(60):
        optimizer.zero_grad()
        quantizer.config.weigh(quantizer(z).losses).backward()
        optimizer.step()
    assert quantizer(z).losses["codebook"].item() < 0.5 * before
