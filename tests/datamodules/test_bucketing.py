from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.bucketing import assign_buckets, plan_evaluation, plan_training, rank_slice, shuffled
from infinity.schedules import ASPECT_RATIOS, nearest_aspect_ratio

buckets_strategy = st.lists(st.integers(0, 3), min_size=1, max_size=120).map(np.array)


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_buckets_are_the_schedules_nearest_ratios(width: int, height: int) -> None:
    number = assign_buckets(np.array([width]), np.array([height]), ASPECT_RATIOS)[0]
    assert ASPECT_RATIOS[number] == nearest_aspect_ratio(height, width, ASPECT_RATIOS)


@given(buckets_strategy, st.integers(1, 9), st.integers(0, 5), st.integers(0, 5))
def test_training_batches_are_full_of_one_bucket_and_never_repeat(
    buckets: np.ndarray, global_batch: int, seed: int, epoch: int
) -> None:
    plan = plan_training(buckets, global_batch, seed=seed, epoch=epoch)
    batches = [plan.batch(number) for number in range(len(plan))]
    assert all(len(batch) == global_batch for batch in batches)
    assert all(set(buckets[batch]) == {plan.buckets[k]} for k, batch in enumerate(batches))
    assert len(np.unique(plan.samples)) == len(plan.samples) == len(buckets) - plan.num_dropped
    leftovers = [np.sum(buckets == bucket) % global_batch for bucket in np.unique(buckets)]
    assert plan.num_dropped == sum(leftovers)


@given(buckets_strategy, st.integers(1, 9), st.integers(1, 4))
def test_evaluation_batches_cover_every_sample_once_on_all_ranks(
    buckets: np.ndarray, per_rank: int, num_ranks: int
) -> None:
    buckets = np.concatenate([buckets, np.repeat(np.unique(buckets), num_ranks)])  # enough for each rank
    plan = plan_evaluation(buckets, per_rank * num_ranks, num_ranks=num_ranks)
    seen: list[int] = []
    for number in range(len(plan)):
        parts = [rank_slice(plan.batch(number), rank, num_ranks) for rank in range(num_ranks)]
        assert all(len(part) for part in parts)
        assert all(set(buckets[part]) == {plan.buckets[number]} for part in parts)
        if per_rank > 1:
            assert max(map(len, parts)) <= per_rank
        seen += [int(sample) for part in parts for sample in part]
    assert sorted(seen) == list(range(len(buckets)))


def test_an_evaluation_bucket_smaller_than_the_ranks_is_an_error() -> None:
    with pytest.raises(ValueError, match="only 2 samples for 3 ranks; use fewer ranks"):
        plan_evaluation(np.array([0, 0, 0, 1, 1]), 6, num_ranks=3)


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4])
def test_ranks_share_a_global_batch_in_order(num_ranks: int) -> None:
    batch = np.arange(12)
    parts = [rank_slice(batch, rank, num_ranks) for rank in range(num_ranks)]
    assert np.array_equal(np.concatenate(parts), batch)
    assert {len(part) for part in parts} == {12 // num_ranks}


def test_epochs_and_seeds_shuffle_anew() -> None:
    buckets = np.zeros(64, int)
    orders = {
        tuple(plan_training(buckets, 4, seed=seed, epoch=epoch).samples)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_samples_of_a_bucket_are_not_left_over_in_every_epoch() -> None:
    buckets = np.zeros(10, int)
    missed = [set(range(10)) - set(plan_training(buckets, 4, seed=0, epoch=e).samples) for e in range(12)]
    assert set.intersection(*missed) == set()


def splitmix64(x: int) -> int:
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31


def test_the_order_is_the_documented_one_on_every_machine() -> None:
    golden = 0x9E3779B97F4A7C15
    state = 0
    for word in (7, 3, -1):
        state = splitmix64((state + word + golden) % 2**64)
    expected = sorted(range(100), key=lambda number: splitmix64((state + golden * number) % 2**64))
    assert shuffled(100, 7, 3, -1).tolist() == expected


def test_permutations_are_uniform() -> None:
    counts = np.zeros((5, 5))
    for key in range(4000):
        counts[np.arange(5), shuffled(5, key)] += 1
    chi_squared = float(((counts - 800) ** 2 / 800).sum())
    assert chi_squared < 40  # 16 degrees of freedom: p = 0.0008
