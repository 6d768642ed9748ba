"""Holm's correction, the sign test, what a study can detect, Fleiss' kappa: against hand examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.agreement import fleiss_kappa
from evaluation.statistics.significance import holm, minimum_detectable_difference, sign_test


def test_holm_agrees_with_a_hand_example() -> None:
    # sorted .005 .01 .03 .04 times 4 3 2 1, and never less than the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.4]) == pytest.approx([0.8, 0.8])
    assert holm([]) == []


def test_holm_finds_nothing_false_in_95_of_100_studies_without_effects() -> None:
    p_values = np.random.default_rng(0).random((2000, 8))
    false = np.mean([min(holm(row.tolist())) < 0.05 for row in p_values])
    assert 0.035 < false < 0.065


def test_the_detectable_difference_is_found_with_its_power() -> None:
    """A z test of a difference of that size, simulated."""
    difference = minimum_detectable_difference(0.4)
    seen = np.random.default_rng(0).normal(difference, 0.4, 20_000)
    assert np.mean(np.abs(seen) / 0.4 > stats.norm.ppf(0.975)) == pytest.approx(0.8, abs=0.01)


def test_few_prompts_find_larger_differences_alone() -> None:
    """A t test of eight prompts, simulated: by the normal distribution it would find 0.68."""
    difference = minimum_detectable_difference(1 / 8**0.5, 7)
    seen = np.random.default_rng(0).normal(difference, 1, (20_000, 8))
    assert np.mean(stats.ttest_1samp(seen, 0, axis=1).pvalue < 0.05) == pytest.approx(0.8, abs=0.015)


def test_signs_are_tested_exactly() -> None:
    assert sign_test(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)
    assert sign_test(2, 8) == sign_test(8, 2)
    assert sign_test(0, 0) == 1.0


def test_fleiss_kappa_agrees_with_a_hand_example() -> None:
    # three raters agree on two items of four, two of three on the others: (2 / 3 - 1 / 2) / (1 - 1 / 2)
    assert fleiss_kappa(np.array([[3, 0], [2, 1], [0, 3], [1, 2]]))[0] == pytest.approx(1 / 3)


def test_kappa_is_one_in_agreement_and_zero_by_chance_and_skips_lone_votes() -> None:
    assert fleiss_kappa(np.array([[3, 0], [0, 2], [1, 0]]))[0] == 1.0
    chance = np.random.default_rng(0).multinomial(3, [0.5, 0.2, 0.3], 20_000)
    assert fleiss_kappa(chance)[0] == pytest.approx(0, abs=0.01)
    assert np.isnan(fleiss_kappa(np.array([[1, 0], [0, 1]]))[0])
    assert np.isnan(fleiss_kappa(np.array([[2, 0], [3, 0]]))[0])


def test_kappa_of_a_resample_is_that_of_the_items_drawn() -> None:
    votes = np.array([[3, 0, 0], [1, 1, 1], [0, 2, 1]])
    drawn = np.array([[2.0, 0.0, 1.0]])
    assert fleiss_kappa(votes, drawn) == pytest.approx(fleiss_kappa(votes[[0, 0, 2]]))
