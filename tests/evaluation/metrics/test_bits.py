from __future__ import annotations

import itertools

import numpy as np
import pytest

from evaluation.metrics import bits as module
from evaluation.metrics.bits import BitCounts


def as_bits(codes: list[tuple[int, ...]]) -> np.ndarray:
    """One image of one row: bool (1, D, 1, num_codes)."""
    return np.array(codes, bool).T[None, :, None, :]


def test_all_codes_once_use_everything() -> None:
    counts = BitCounts.of(as_bits(list(itertools.product((0, 1), repeat=3))))
    assert counts.usage == pytest.approx((1.0, 1.0, 1.0))


def test_one_code_only_uses_nothing() -> None:
    assert BitCounts.of(as_bits([(0, 1, 1)] * 16)).usage == pytest.approx((0.0, 0.0, 1 / 8))


def test_entropy_of_a_bit_has_a_closed_form() -> None:
    usage = BitCounts.of(as_bits([(1, 1), (0, 1), (0, 1), (0, 1)])).usage
    assert usage.entropy == pytest.approx((0.25 * 2 + 0.75 * np.log2(4 / 3)) / 2)
    assert usage.usage == 0.5


def test_distinct_codes_are_counted_beyond_64_bits() -> None:
    bits = np.zeros((4, 100, 1, 1), bool)
    bits[:, 99, 0, 0] = [0, 1, 0, 1]
    assert BitCounts.of(bits).usage.distinct == 2 / 4


def test_counts_of_batches_add_up_to_those_of_all_images() -> None:
    bits = np.random.default_rng(0).random((9, 5, 2, 3)) < 0.3
    whole, first, middle, last = (BitCounts.of(part) for part in (bits, bits[:2], bits[2:8], bits[8:]))
    parts = first + middle + last
    assert (parts.num_codes, parts.num_images) == (54, 9)
    assert parts.usage == whole.usage


def test_memory_stops_growing_and_shares_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CODES", 6)
    batches = ([(0, 0), (0, 1), (0, 0), (0, 1)], [(1, 1)] * 8, [(1, 0)] * 4)
    first, middle, last = (BitCounts.of(np.array(codes, bool)[:, :, None, None]) for codes in batches)
    counts = first + middle + last
    assert counts.packed.shape == (6, 1)
    assert counts.usage.distinct == 3 / 4  # the last codes came too late
    assert (counts.ones_D / counts.num_codes).tolist() == [12 / 16, 10 / 16]


def test_counts_of_different_scales_do_not_add() -> None:
    one, other = (BitCounts.of(np.ones((1, 4, side, side), bool)) for side in (1, 2))
    with pytest.raises(ValueError, match=r"one shape, got 4 of \(1, 1\) and 4 of \(2, 2\)"):
        one + other


def test_codes_instead_of_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="bool"):
        BitCounts.of(np.ones((1, 2, 3, 3)))
