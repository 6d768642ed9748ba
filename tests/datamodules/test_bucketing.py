from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules.bucketing import EvaluationOrder, assign_buckets, rank_slice, shuffled
from infinity.schedules import ASPECT_RATIOS, nearest_aspect_ratio

buckets_strategy = st.lists(st.integers(0, 3), min_size=1, max_size=120).map(np.array)


@given(st.integers(1, 4000), st.integers(1, 4000), st.permutations(ASPECT_RATIOS))
def test_buckets_are_the_schedules_nearest_ratios(width: int, height: int, ratios: list[float]) -> None:
    number = assign_buckets(np.array([width]), np.array([height]), ratios)[0]
    assert ratios[number] == nearest_aspect_ratio(height, width, tuple(ratios))


@pytest.mark.parametrize("ratios", [ASPECT_RATIOS, (2.0, 0.5, 1.0, 1.0), (1.0, 0.8, 1.2), (3.0,)])
def test_buckets_of_many_samples_are_those_of_the_slow_rule(ratios: tuple[float, ...]) -> None:
    heights, widths = (side.ravel() for side in np.mgrid[1:120, 1:120])
    distances = np.abs(heights / widths - np.array(ratios)[:, None])
    buckets = assign_buckets(np.tile(widths, 40), np.tile(heights, 40), ratios)  # more than one chunk
    assert buckets.dtype == np.uint8
    assert np.array_equal(buckets, np.tile(distances.argmin(axis=0), 40))


def test_more_aspect_ratios_than_a_byte_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 256 aspect ratios are possible, got 257"):
        assign_buckets(np.ones(1), np.ones(1), np.linspace(0.3, 3, 257).tolist())


@given(buckets_strategy, st.integers(1, 9), st.integers(1, 12))
def test_evaluation_batches_cover_every_sample_once_on_any_number_of_ranks(
    buckets: np.ndarray, per_rank: int, num_ranks: int
) -> None:
    order = EvaluationOrder(buckets, per_rank * num_ranks)
    seen: list[int] = []
    for number in range(len(order)):
        bucket, samples, _ = order.batch(number)
        parts = [rank_slice(samples, rank, num_ranks) for rank in range(num_ranks)]
        assert 1 <= len(parts[0]) <= per_rank
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert set(buckets[samples]) == {bucket}
        seen += [int(sample) for part in parts for sample in part]
    assert sorted(seen) == list(range(len(buckets)))


def test_the_first_evaluation_batches_are_a_fair_part_of_all() -> None:
    buckets = np.tile([0, 1, 2, 3], 400)
    order = EvaluationOrder(buckets, 4)
    first = [order.batch(number) for number in range(100)]  # of 400
    assert np.ptp(np.bincount([bucket for bucket, _, _ in first], minlength=4)) < 20
    assert np.mean([samples.mean() for _, samples, _ in first]) == pytest.approx(800, rel=0.1)
    again = EvaluationOrder(buckets, 4)
    assert all(np.array_equal(again.batch(k).samples, batch.samples) for k, batch in enumerate(first))


@pytest.mark.parametrize("num_ranks", [1, 2, 3, 4])
def test_ranks_share_a_global_batch_in_order(num_ranks: int) -> None:
    batch = np.arange(12)
    parts = [rank_slice(batch, rank, num_ranks) for rank in range(num_ranks)]
    assert np.array_equal(np.concatenate(parts), batch)
    assert {len(part) for part in parts} == {12 // num_ranks}


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
