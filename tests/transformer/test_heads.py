"""Classifiers over bits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.quantizers.bits import pack_ids, unpack_ids
from infinity.transformer.config import InfinityConfig
from infinity.transformer.heads import BitwiseHead, IndexHead, build_head, uniform_noise
from tests.tolerances import TOL


def heads(num_bits: int = 4) -> tuple[BitwiseHead, IndexHead]:
    options = {"width": 32, "num_heads": 2, "token_bits": num_bits, "text_width": 32}
    bitwise, indexwise = (
        build_head(InfinityConfig(head=kind, **options)) for kind in ("bitwise", "indexwise")
    )
    assert isinstance(bitwise, BitwiseHead)
    assert isinstance(indexwise, IndexHead)
    return bitwise, indexwise


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def index_logits(bit_logits: Tensor) -> Tensor:
    """Logits over 2**D ids of the product distribution that per-bit logits define."""
    num_bits = bit_logits.shape[-1]
    all_bits = unpack_ids(torch.arange(2**num_bits), num_bits).float()
    return (bit_logits.unsqueeze(-2) * all_bits).sum(-1)


def test_bitwise_loss_is_two_class_cross_entropy_per_bit() -> None:
    head, _ = heads()
    states, labels = torch.randn(2, 5, 32), torch.rand(2, 5, 4) < 0.5
    two_logits = head.proj(states).unflatten(-1, (4, 2))
    expected = F.cross_entropy(two_logits.flatten(0, 2), labels.flatten().long(), reduction="none")
    loss = head.loss(head.classify(states), labels)
    torch.testing.assert_close(loss, expected.view(2, 5, 4).mean(-1), **TOL[torch.float32])


def test_both_heads_give_the_same_loss_to_the_same_distribution() -> None:
    bitwise, indexwise = heads()
    logits, labels = torch.randn(2, 5, 4), torch.rand(2, 5, 4) < 0.5
    expected = bitwise.loss(logits, labels)
    torch.testing.assert_close(indexwise.loss(index_logits(logits), labels), expected, **TOL[torch.float32])


def test_both_heads_predict_and_score_the_same_bits() -> None:
    bitwise, indexwise = heads()
    logits, labels = torch.randn(2, 5, 4), torch.rand(2, 5, 4) < 0.5
    assert torch.equal(bitwise.predict(logits), logits > 0)
    assert torch.equal(indexwise.predict(index_logits(logits)), logits > 0)
    accuracy = bitwise.accuracy(logits, labels)
    assert torch.equal(accuracy, indexwise.accuracy(index_logits(logits), labels))
    assert torch.equal(accuracy.bool(), (logits > 0) == labels)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_both_heads_sample_the_same_law(temperature: float) -> None:
    bitwise, indexwise = heads(3)
    logits = torch.tensor([0.7, -1.2, 0.1])
    expected = (index_logits(logits) / temperature).softmax(-1)
    num = 20_000
    for head, given in ((bitwise, logits), (indexwise, index_logits(logits))):
        bits = head.sample(given.expand(1, num, -1), temperature=temperature, generators=generators(0))
        counts = torch.bincount(pack_ids(bits).flatten(), minlength=8)
        chi_square = ((counts - num * expected) ** 2 / (num * expected)).sum()
        assert chi_square < 24.3  # 7 degrees of freedom, p = 0.001


@pytest.mark.parametrize("top_p", [0.6, 0.97, 1.0])
def test_top_p_removes_the_smallest_classes_up_to_one_minus_p(top_p: float) -> None:
    bitwise, indexwise = heads(1)
    p_one = torch.cat([torch.linspace(0.01, 0.99, 99), torch.tensor([1 - top_p, top_p])])
    p_one = p_one[(p_one > 0) & (p_one < 1)]
    logit = p_one.double().logit()
    num = 400
    for head, given in ((bitwise, logit[:, None]), (indexwise, torch.stack([0 * logit, logit], -1))):
        bits = head.sample(
            given.float()[None].repeat(num, 1, 1), top_p=top_p, generators=generators(*range(num))
        )
        share = bits[..., 0].float().mean(0)
        drawn_one, drawn_zero = share > 0, share < 1
        surely = 1e-5  # p == 1 - top_p is removed, but rounding may decide that
        assert not drawn_one[p_one < 1 - top_p - surely].any()
        assert not drawn_zero[1 - p_one < 1 - top_p - surely].any()
        middle = (p_one > 1 - top_p + 0.03) & (1 - p_one > 1 - top_p + 0.03)
        assert drawn_one[middle].all()
        assert drawn_zero[middle].all()


def test_indexwise_top_p_keeps_the_most_likely_classes_and_their_ratios() -> None:
    _, indexwise = heads(2)
    probabilities = torch.tensor([0.1, 0.5, 0.05, 0.35])
    bits = indexwise.sample(probabilities.log().expand(1, 20_000, -1), top_p=0.8, generators=generators(0))
    share = torch.bincount(pack_ids(bits).flatten(), minlength=4) / 20_000
    torch.testing.assert_close(share, torch.tensor([0, 0.5, 0, 0.35]) / 0.85, rtol=0, atol=0.02)


def test_temperature_zero_takes_the_most_likely_bits_without_randomness() -> None:
    for head in heads():
        logits = torch.randn(2, 5, 4 if isinstance(head, BitwiseHead) else 16)
        assert torch.equal(head.sample(logits, temperature=0, generators=()), head.predict(logits))


def test_an_image_depends_on_its_own_generator_only() -> None:
    for head in heads():
        logits = torch.randn(3, 5, 4 if isinstance(head, BitwiseHead) else 16)
        together = head.sample(logits, generators=generators(1, 2, 3))
        alone = head.sample(logits[1:2], generators=generators(2))
        assert torch.equal(together[1:2], alone)


def test_noise_rows_come_from_their_generators() -> None:
    noise = uniform_noise((2, 3, 4), generators(5, 6), torch.device("cpu"))
    assert torch.equal(noise[1], torch.rand(3, 4, generator=generators(6)[0]))
    assert not torch.equal(noise[0], noise[1])
