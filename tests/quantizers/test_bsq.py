from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers import BSQ, LFQ, Quantizer, QuantizerConfig, bits_to_codes, unpack_ids

SIX = BSQ(QuantizerConfig(num_bits=6))


def test_a_cell_goes_to_the_nearest_corner_of_the_inscribed_hypercube() -> None:
    z = torch.randn(2, 6, 3, 4)
    output = SIX(z)
    corners_VD = bits_to_codes(unpack_ids(torch.arange(64), 6))
    nearest = torch.cdist(z.movedim(1, -1) / z.norm(dim=1).unsqueeze(-1), corners_VD.expand(2, 3, 64, 6))
    assert torch.equal(output.codes_BDHW, corners_VD[nearest.argmin(dim=-1)].movedim(-1, 1))


def test_codes_of_the_bits_are_the_codes_themselves() -> None:
    output = SIX(torch.randn(2, 6, 3, 4))
    assert output.bits_BDHW.dtype == torch.bool
    assert torch.equal(SIX.codes_from_bits(output.bits_BDHW), output.codes_BDHW)


def test_only_the_direction_of_a_cell_matters() -> None:
    z = torch.randn(1, 6, 4, 4)
    once, scaled = SIX(z), SIX(37 * z)
    assert torch.equal(once.bits_BDHW, scaled.bits_BDHW)
    for name, value in once.losses.items():
        torch.testing.assert_close(scaled.losses[name], value)


def test_the_gradient_passes_straight_through_to_the_projected_cell() -> None:
    z = torch.randn(2, 6, 3, 4, requires_grad=True)
    cotangent = torch.randn_like(z)
    (actual,) = torch.autograd.grad((SIX(z).codes_BDHW * cotangent).sum(), z)
    (expected,) = torch.autograd.grad((F.normalize(z, dim=1) * cotangent).sum(), z)
    torch.testing.assert_close(actual, expected)


def test_the_commitment_loss_is_the_distance_to_a_fixed_code() -> None:
    z = torch.randn(2, 6, 3, 4, requires_grad=True)
    output = SIX(z)
    unit = F.normalize(z, dim=1)
    expected = (unit - output.codes_BDHW.detach()).square().mean()
    torch.testing.assert_close(output.losses["commitment"], expected)
    for loss in (output.losses["commitment"], expected):
        (grad,) = torch.autograd.grad(loss, z, retain_graph=True)
        # towards the code, and along the sphere
        torch.testing.assert_close((grad * z).sum(dim=1), torch.zeros(2, 3, 4), rtol=0, atol=1e-6)
    torch.testing.assert_close(
        *(
            torch.autograd.grad(loss, z, retain_graph=True)[0]
            for loss in (output.losses["commitment"], expected)
        )
    )


def test_autocast_changes_nothing() -> None:
    z = torch.randn(2, 6, 3, 4)
    expected = SIX(z)
    with torch.autocast("cpu", torch.bfloat16):
        actual = SIX(z)
        half = SIX(z.bfloat16())
    assert actual.codes_BDHW.dtype == half.codes_BDHW.dtype == torch.float32
    assert torch.equal(actual.codes_BDHW, expected.codes_BDHW)
    assert all(torch.equal(actual.losses[name], value) for name, value in expected.losses.items())


def test_a_vanished_cell_has_all_bits_off_and_a_finite_gradient() -> None:
    z = torch.zeros(1, 6, 1, 1, requires_grad=True)
    output = SIX(z)
    assert not output.bits_BDHW.any()
    sum(output.losses.values(), output.codes_BDHW.sum()).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def saved_bytes(quantizer: Quantizer, num_bits: int) -> int:
    """What a forward pass keeps for the backward pass."""
    sizes: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        output = quantizer(torch.randn(1, num_bits, 8, 8, requires_grad=True))
        quantizer.config.weigh(output.losses)
    return sum(sizes.values())


def test_memory_grows_with_the_bits_and_not_with_the_vocabulary() -> None:
    """The paper's Table 3, for the tensors of the penalty."""
    bsq = [saved_bytes(BSQ(QuantizerConfig(num_bits=d)), d) for d in (8, 16, 64)]
    lfq = [saved_bytes(LFQ(QuantizerConfig(kind="lfq", num_bits=d)), d) for d in (8, 12)]
    assert bsq[1] < 2.1 * bsq[0]
    assert bsq[2] < 8.1 * bsq[0]
    assert lfq[1] > 14 * lfq[0]


def test_a_vocabulary_of_2_to_the_128_is_no_burden() -> None:
    quantizer = BSQ(QuantizerConfig(num_bits=128))
    output = quantizer(torch.randn(1, 128, 8, 8))
    assert output.bits_BDHW.shape == (1, 128, 8, 8)
    assert all(loss.isfinite() for loss in output.losses.values())
