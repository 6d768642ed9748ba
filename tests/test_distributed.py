"""The collective on two ranks, played by two threads; that it runs under DDP is tested with the trainer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, local

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from infinity.distributed import all_reduce_mean
from infinity.losses.adversarial import adaptive_weight
from infinity.quantizers import BSQ, QuantizerConfig
from infinity.quantizers.entropy import factorised_entropies


class TwoRanks:
    """Stands in for a process group of two: sums what both threads bring."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rank = local()
        self.brought: dict[int, Tensor] = {}
        self.barrier = Barrier(2, timeout=30)
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_world_size", lambda: 2)
        monkeypatch.setattr(dist, "all_reduce", self.all_reduce)

    def all_reduce(self, x: Tensor) -> None:
        self.brought[self.rank.value] = x.clone()
        self.barrier.wait()
        x.copy_(self.brought[0] + self.brought[1])
        self.barrier.wait()


def test_one_process_gets_its_own_tensor_back() -> None:
    x = torch.randn(3)
    assert all_reduce_mean(x) is x


def test_entropy_over_two_ranks_is_that_of_one_process_with_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    z = torch.randn(2, 4, 3, 3)
    scale = torch.tensor(1.5, requires_grad=True)
    expected = factorised_entropies(z * scale, sync=False).batch
    (expected_grad,) = torch.autograd.grad(expected, scale)

    def entropy_and_gradient(rank: int) -> tuple[Tensor, Tensor]:
        group.rank.value = rank
        own_scale = torch.tensor(1.5, requires_grad=True)
        entropy = factorised_entropies(z[rank : rank + 1] * own_scale, sync=True).batch
        return entropy.detach(), torch.autograd.grad(entropy, own_scale)[0]

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        group = TwoRanks(patch)
        entropies, grads = zip(*pool.map(entropy_and_gradient, range(2)), strict=True)
    for entropy in entropies:
        torch.testing.assert_close(entropy, expected.detach())
    torch.testing.assert_close(sum(grads) / 2, expected_grad)  # DDP averages gradients over ranks


def test_the_adaptive_weight_of_two_ranks_is_that_of_one_process_with_the_whole_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    targets, logits = torch.randn(2, 4, 3), torch.randn(2, 4, 3)

    def weight(rows: slice) -> Tensor:
        layer = torch.ones(3, requires_grad=True)
        return adaptive_weight((layer - targets[rows]).abs().mean(), (layer * logits[rows]).mean(), layer)

    def weight_of_rank(rank: int) -> Tensor:
        group.rank.value = rank
        return weight(slice(rank, rank + 1))

    expected = weight(slice(None))
    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as pool:
        group = TwoRanks(patch)
        for found in pool.map(weight_of_rank, range(2)):
            torch.testing.assert_close(found, expected)


def test_quantizing_without_gradients_waits_for_no_other_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    quantizer, z = BSQ(QuantizerConfig(num_bits=4)).train(), torch.randn(1, 4, 2, 2)
    calls: list[Tensor] = []
    with monkeypatch.context() as patch:
        patch.setattr(dist, "is_initialized", lambda: True)
        patch.setattr(dist, "get_world_size", lambda: 2)
        patch.setattr(dist, "all_reduce", calls.append)
        with torch.no_grad():
            quantizer(z)
        assert not calls, "one rank may draw a picture in the middle of training"
        quantizer(z)
        assert len(calls) == 1
