"""Tests of differences: many at once (Holm), by signs, and what a study of this size can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

__all__ = ["holm", "minimum_detectable_difference", "sign_test"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values: those below 0.05 are findings, with a 5 % chance of any false one (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def minimum_detectable_difference(
    standard_error: float, degrees: float = math.inf, *, level: float = 0.05, power: float = 0.8
) -> float:
    """The true difference that a two-sided test at `level` finds with probability `power`.

    Args:
        degrees: of freedom of Student's t, by which the error is estimated.
    """
    return float(stats.t.ppf(1 - level / 2, degrees) + stats.t.ppf(power, degrees)) * standard_error


def sign_test(num_for: int, num_against: int) -> float:
    """Two-sided p value of so many decisions for and against, ties left out (McNemar's exact test)."""
    if num_for + num_against == 0:
        return 1.0
    return float(stats.binomtest(num_for, num_for + num_against).pvalue)
