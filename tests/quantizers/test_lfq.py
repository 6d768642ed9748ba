from __future__ import annotations

import itertools

import torch

from infinity.quantizers import LFQ, QuantizerConfig
from tests.tolerances import TOL

CONFIG = QuantizerConfig(kind="lfq", num_bits=4, inv_temperature=5.0)
LFQ_4 = LFQ(CONFIG)


def test_every_channel_keeps_its_sign_only() -> None:
    z = torch.randn(2, 4, 3, 3)
    output = LFQ_4(z)
    assert torch.equal(output.codes_BDHW, z.sign() / 2)
    assert torch.equal(output.bits_BDHW, z > 0)
    assert torch.equal(LFQ_4.codes_from_bits(output.bits_BDHW), output.codes_BDHW)


def test_the_gradient_passes_straight_through() -> None:
    z = torch.randn(2, 4, 3, 3, requires_grad=True)
    cotangent = torch.randn_like(z)
    (grad,) = torch.autograd.grad((LFQ_4(z).codes_BDHW * cotangent).sum(), z)
    assert torch.equal(grad, cotangent)


def test_entropies_are_those_of_a_softmax_over_distances_to_all_codes() -> None:
    z = torch.randn(2, 4, 3, 3)
    codes = [torch.tensor(signs) / 2 for signs in itertools.product([-1.0, 1.0], repeat=4)]
    rows = []
    for cell in z.movedim(1, -1).reshape(-1, 4):
        # all codes have the same norm, so distances and inner products give the same softmax
        scores = torch.stack([-CONFIG.inv_temperature * (cell - code).square().sum() for code in codes])
        rows.append(scores.softmax(dim=0))
    sample = torch.stack([torch.special.entr(row).sum() for row in rows]).mean()
    batch = torch.special.entr(torch.stack(rows).mean(dim=0)).sum()
    losses = LFQ_4(z).losses
    torch.testing.assert_close(losses["entropy_sample"], sample, **TOL[torch.float32])
    torch.testing.assert_close(losses["entropy_batch"], batch, **TOL[torch.float32])
    torch.testing.assert_close(losses["commitment"], (z - z.sign() / 2).square().mean())
