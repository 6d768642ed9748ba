"""The training order against one that writes everything out, and what it promises at any size."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datamodules import order as order_module
from datamodules.bucketing import rank_slice, shuffled
from datamodules.order import Source, TrainingOrder, block_bounds, block_size, joined_bounds

NUM_BUCKETS = 4
Batches = list[tuple[int, list[int]]]


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    sizes = draw(st.lists(st.integers(1, 15), min_size=1, max_size=12))
    total = sum(sizes)
    buckets = draw(st.lists(st.integers(0, NUM_BUCKETS - 1), min_size=total, max_size=total))
    return {
        "shards": [shard for shard, size in enumerate(sizes) for _ in range(size)],
        "buckets": buckets,
        "max_block": draw(st.integers(1, 10)),
        "global_batch": draw(st.integers(1, 6)),
        "seed": draw(st.integers(0, 9)),
        "shuffle_window": draw(st.integers(1, 60)),
    }


def lazy(shards: list[int], buckets: list[int], max_block: int, **options: int) -> TrainingOrder:
    starts = np.searchsorted(shards, range(max(shards) + 2))
    bounds = block_bounds(starts, max_block)
    return TrainingOrder(np.array(buckets, np.uint8), bounds, num_buckets=NUM_BUCKETS, **options)


def slow(
    shards: list[int],
    buckets: list[int],
    max_block: int,
    global_batch: int,
    seed: int,
    shuffle_window: int,
    epoch: int,
) -> tuple[Batches, list[int]]:
    """All batches of an epoch, and how many samples of each bucket are left: lists only, nothing lazy."""
    blocks: list[list[int]] = []
    for _, group in groupby(range(len(shards)), key=shards.__getitem__):
        shard = list(group)
        parts = -(-len(shard) // max_block)
        blocks += [shard[len(shard) * k // parts : len(shard) * (k + 1) // parts] for k in range(parts)]
    blocks = [blocks[k] for k in shuffled(len(blocks), seed, 0, epoch, -2)]
    windows: dict[int, list[int]] = {}
    before = 0
    for block in blocks:
        windows.setdefault(before // shuffle_window, []).extend(block)
        before += len(block)
    streams: list[list[int]] = [[] for _ in range(NUM_BUCKETS)]
    batches: Batches = []
    for number, window in enumerate(windows.values()):
        completed: Batches = []
        for bucket, stream in enumerate(streams):
            members = [sample for sample in window if buckets[sample] == bucket]
            stream += [members[k] for k in shuffled(len(members), seed, epoch, number, bucket)]
            while len(stream) >= global_batch:
                completed.append((bucket, stream[:global_batch]))
                del stream[:global_batch]
        batches += [completed[k] for k in shuffled(len(completed), seed, epoch, number, -1)]
    return batches, [len(stream) for stream in streams]


def listed(order: TrainingOrder, start: int, stop: int) -> Batches:
    return [(batch.bucket, batch.samples.tolist()) for batch in map(order.batch, range(start, stop))]


@given(orders())
def test_the_lazy_order_is_the_one_that_is_written_out(options: dict[str, Any]) -> None:
    order = lazy(**options)
    for epoch in range(3):
        batches, left = slow(**options, epoch=epoch)
        assert len(batches) == len(order)
        assert listed(order, epoch * len(order), (epoch + 1) * len(order)) == batches
        assert order.epoch(epoch).dropped_per_bucket.tolist() == left


@given(orders())
def test_an_epoch_has_every_sample_at_most_once_and_only_tails_are_dropped(options: dict[str, Any]) -> None:
    order, buckets = lazy(**options), np.array(options["buckets"])
    batches = [order.batch(number) for number in range(len(order))]
    assert all(set(buckets[samples]) == {bucket} for bucket, samples, _ in batches)
    assert all(len(samples) == options["global_batch"] for _, samples, _ in batches)
    seen = np.concatenate([np.empty(0, np.int64), *(samples for _, samples, _ in batches)])
    assert len(np.unique(seen)) == len(seen)
    tails = np.bincount(buckets, minlength=NUM_BUCKETS) % options["global_batch"]
    assert len(buckets) - len(seen) == tails.sum()
    assert order.epoch(0).dropped_per_bucket.tolist() == tails.tolist()


@given(orders(), st.randoms(use_true_random=False))
def test_seeking_finds_what_iterating_does(options: dict[str, Any], random: Any) -> None:
    straight = lazy(**options)
    count = 2 * len(straight)
    expected = listed(straight, 0, count)
    numbers = random.sample(range(count), count)
    sought = lazy(**options)
    assert [listed(sought, number, number + 1)[0] for number in numbers] == [expected[k] for k in numbers]


def sharded(num_shards: int, size: int, **options: int) -> TrainingOrder:
    """One bucket, shards of equal size."""
    shards = np.repeat(np.arange(num_shards), size).tolist()
    defaults = {"max_block": 10**6, "global_batch": 10, "seed": 0, "shuffle_window": 500}
    return lazy(shards, [0] * len(shards), **{**defaults, **options})


def test_shards_are_read_mostly_sequentially() -> None:
    order = sharded(num_shards=400, size=50)
    shards = [{int(sample) // 50 for sample in order.batch(k).samples} for k in range(len(order))]
    spans = [set.union(*shards[k : k + 50]) for k in range(len(shards) - 49)]
    assert max(map(len, spans)) <= 2 * (500 // 50)  # 500 samples in a row lie in two windows at most
    assert all(sum(shard in span for span in spans) <= 2 * 50 for shard in range(400))  # and never come back
    whole = sharded(num_shards=400, size=50, shuffle_window=10**6)
    assert len({int(sample) // 50 for k in range(50) for sample in whole.batch(k).samples}) > 200


def test_a_step_is_found_without_the_epoch_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    order = sharded(num_shards=2000, size=100, shuffle_window=1000)
    counts: list[int] = []

    def counting(count: int, *key: int) -> np.ndarray:
        counts.append(count)
        return shuffled(count, *key)

    monkeypatch.setattr(order_module, "shuffled", counting)
    order.batch(5 * len(order) + len(order) // 2)  # another epoch: its blocks are shuffled
    blocks = 2 * 2000
    assert sum(counts) <= blocks + 2 * 1000 + 1000 // 10


def test_a_window_is_shuffled_evenly() -> None:
    size, epochs = 8, 1500
    order = sharded(num_shards=4, size=2, global_batch=1, shuffle_window=size)
    counts = np.zeros((size, size))
    for epoch in range(epochs):
        for place in range(size):
            counts[place, order.epoch(epoch).batch(place).samples[0]] += 1
    expected = epochs / size
    assert ((counts - expected) ** 2 / expected).sum() < 85  # 49 degrees of freedom: p = 0.001


def test_every_window_has_other_blocks_in_every_epoch() -> None:
    order = sharded(num_shards=40, size=10, shuffle_window=100)
    first = [{int(s) // 10 for k in range(10) for s in order.epoch(e).batch(k).samples} for e in range(6)]
    assert all(len(shards) == 10 for shards in first)
    assert len(set(map(frozenset, first))) == 6


@pytest.mark.parametrize("num_ranks", [1, 2, 4])
def test_ranks_together_take_the_global_batches(num_ranks: int) -> None:
    order = sharded(num_shards=10, size=20, global_batch=8, shuffle_window=50)
    for number in range(len(order)):
        samples = order.batch(number).samples
        parts = [rank_slice(samples, rank, num_ranks) for rank in range(num_ranks)]
        assert np.array_equal(np.concatenate(parts), samples)


def test_epochs_and_seeds_shuffle_anew() -> None:
    found = {
        tuple(sharded(2, 32, seed=seed).epoch(epoch).batch(0).samples)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(found) == 9


def test_other_samples_are_left_over_in_every_epoch() -> None:
    order = sharded(num_shards=2, size=7)
    missed = [set(range(14)) - set(order.epoch(epoch).batch(0).samples.tolist()) for epoch in range(12)]
    assert set.intersection(*missed) == set()


def test_a_large_shard_is_cut_into_equal_blocks() -> None:
    assert block_bounds(np.array([0, 3, 28, 28, 38]), 10).tolist() == [0, 3, 11, 19, 28, 38]
    assert joined_bounds([np.array([0, 3]), np.array([0, 2, 5])]).tolist() == [0, 3, 5, 8]


@pytest.mark.parametrize(("num_in_window", "size"), [(2**18, 2**14), (8000, 1000), (3, 64)])
def test_every_data_set_has_several_blocks_in_a_window(num_in_window: int, size: int) -> None:
    assert block_size(num_in_window) == size


def mixed(*drawn: int, seed: int = 0) -> TrainingOrder:
    """Data sets of 100 samples in shards of 7, so many of which an epoch has; two buckets."""
    bounds = joined_bounds([block_bounds(np.array([*range(0, 100, 7), 100]), 5)] * len(drawn))
    buckets = (np.arange(100 * len(drawn)) % 3 > 0).astype(np.uint8)
    sources = [Source(100 * k, 100 * (k + 1), count) for k, count in enumerate(drawn)]
    return TrainingOrder(
        buckets, bounds, num_buckets=2, global_batch=4, seed=seed, shuffle_window=64, sources=sources
    )


@pytest.mark.parametrize("drawn", [(37, 163), (100, 100), (250, 1, 49)])
def test_every_sample_of_a_data_set_is_drawn_equally_often(drawn: tuple[int, ...]) -> None:
    order = mixed(*drawn)
    counts = np.zeros(100 * len(drawn), int)
    for epoch in range(7):
        runs = order.epoch(epoch).runs
        for start, stop in zip(runs.starts, runs.stops, strict=True):
            counts[start:stop] += 1
        assert np.array_equal(
            runs.counts_RB.sum(axis=0),
            np.bincount(
                np.concatenate([order.buckets[a:b] for a, b in zip(runs.starts, runs.stops, strict=True)])
            ),
        )
        for source in order.sources:
            own = counts[source.start : source.stop]
            assert own.sum() == (epoch + 1) * source.num_drawn
            assert own.max() - own.min() <= 1


def test_the_batches_of_a_mixture_hold_all_data_sets_in_proportion() -> None:
    order = mixed(60, 240)
    samples = np.concatenate([order.epoch(epoch).batch(k).samples for epoch in range(5) for k in range(70)])
    assert np.mean(samples >= 100) == pytest.approx(0.8, abs=0.02)
    mixtures = [len(set(order.batch(k).samples // 100)) for k in range(50)]
    assert mixtures.count(2) > 20


@pytest.mark.parametrize("share", [0.5, 0.9, 0.04])
def test_every_window_of_a_mixture_has_the_data_sets_in_proportion(share: float) -> None:
    """Within a block at either end, also where one data set has many passes and the other only begins."""
    sizes, drawn = (3000, 60_000), (int(63_000 * share), 63_000 - int(63_000 * share))
    window = 6300
    blocks = [block_size(window * count / 63_000) for count in drawn]
    starts = [np.arange(0, size + 1, 1000) for size in sizes]
    order = TrainingOrder(
        np.zeros(63_000, np.uint8),
        joined_bounds([block_bounds(start, block) for start, block in zip(starts, blocks, strict=True)]),
        num_buckets=1,
        global_batch=10,
        seed=0,
        shuffle_window=window,
        sources=[Source(0, 3000, drawn[0]), Source(3000, 63_000, drawn[1])],
    )
    for epoch in range(3):
        samples = np.array([order.epoch(epoch).batch(k).samples for k in range(len(order))]).ravel()
        for start in range(0, len(samples), window):
            count = np.sum(samples[start : start + window] < 3000)
            assert abs(count - share * window) <= 2 * (blocks[0] + share * blocks[1]) + 10


def test_a_batch_of_a_mixture_is_found_in_its_epoch() -> None:
    order = mixed(37, 163)
    lengths = [len(order.epoch(epoch)) for epoch in range(30)]
    assert len(set(lengths)) > 1  # the parts of an epoch fill the buckets differently
    places = [(epoch, step) for epoch, length in enumerate(lengths) for step in range(length)]
    assert [mixed(37, 163).locate(number) for number in (0, 60, len(places) - 1)] == [
        places[number] for number in (0, 60, len(places) - 1)
    ]
    assert [order.locate(number) for number in range(len(places))] == places
