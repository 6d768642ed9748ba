from __future__ import annotations

import pytest
import torch

from infinity.randomness import BatchShare, uniform


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("batch_dim", [0, 1])
def test_the_shares_of_all_ranks_are_the_numbers_of_one_process(batch_dim: int) -> None:
    shape = [6, 6, 2]
    whole = uniform(shape, seeded(), batch_dim=batch_dim)
    shape[batch_dim] = 2
    shares = [uniform(shape, BatchShare(seeded(), start, 6), batch_dim=batch_dim) for start in (0, 2, 4)]
    assert torch.equal(torch.cat(shares, dim=batch_dim), whole)


def test_numbers_for_the_whole_batch_are_equal_on_all_ranks_and_keep_them_in_step() -> None:
    ranks = [BatchShare(seeded(), start, 4) for start in (0, 2)]
    common = [uniform((3,), rank, batch_dim=None) for rank in ranks]
    after = [uniform((2,), rank) for rank in ranks]
    assert torch.equal(common[0], common[1])
    alone = seeded()
    assert torch.equal(common[0], uniform((3,), alone))
    assert torch.equal(torch.cat(after), uniform((4,), alone))
