from __future__ import annotations

import itertools

import numpy as np
import pytest

from evaluation.metrics.bits import bit_usage


def as_bits(codes: list[tuple[int, ...]]) -> np.ndarray:
    """One image of one row: bool (1, D, 1, num_codes)."""
    return np.array(codes, bool).T[None, :, None, :]


def test_all_codes_once_use_everything() -> None:
    usage = bit_usage(as_bits(list(itertools.product((0, 1), repeat=3))))
    assert usage == pytest.approx((1.0, 1.0, 1.0))


def test_one_code_only_uses_nothing() -> None:
    usage = bit_usage(as_bits([(0, 1, 1)] * 16))
    assert usage == pytest.approx((0.0, 0.0, 1 / 8))


def test_entropy_of_a_bit_has_a_closed_form() -> None:
    usage = bit_usage(as_bits([(1, 1), (0, 1), (0, 1), (0, 1)]))
    assert usage.entropy == pytest.approx((0.25 * 2 + 0.75 * np.log2(4 / 3)) / 2)
    assert usage.usage == 0.5


def test_distinct_codes_are_counted_beyond_64_bits() -> None:
    bits = np.zeros((4, 100, 1, 1), bool)
    bits[:, 99, 0, 0] = [0, 1, 0, 1]
    assert bit_usage(bits).distinct == 2 / 4


def test_codes_instead_of_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="bool"):
        bit_usage(np.ones((1, 2, 3, 3)))
