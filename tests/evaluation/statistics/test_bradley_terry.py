"""Ratings recover known strengths, treat ties alike, and have intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from evaluation.statistics.bradley_terry import RATING_SCALE, fit_bradley_terry

THETA = np.array([-0.8, -0.1, 0.2, 0.7])
PAIRS = np.array([(i, j) for i in range(4) for j in range(i + 1, 4)])


def votes(
    rng: np.random.Generator, prompts: int, ties: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every pair on every prompt; prompts favour models, so that votes of one prompt are alike."""
    first, second = (np.tile(PAIRS[:, side], prompts) for side in (0, 1))
    clusters = np.repeat(np.arange(prompts), len(PAIRS))
    outcome = (rng.random(len(first)) < expit(THETA[first] - THETA[second])).astype(float)
    outcome[rng.random(len(first)) < ties] = 0.5
    return first, second, outcome, clusters


def test_two_models_have_the_log_odds_of_their_votes() -> None:
    first, second = np.zeros(40, int), np.ones(40, int)
    outcome = np.array([1.0] * 25 + [0.0] * 10 + [0.5] * 5)
    ratings = fit_bradley_terry(first, second, outcome, np.arange(40), 2)
    assert ratings.theta_N[0] - ratings.theta_N[1] == pytest.approx(np.log(27.5 / 12.5))
    assert ratings.rating(0).value + ratings.rating(1).value == pytest.approx(2000)
    share = 27.5 / 40
    variance = np.mean((outcome - share) ** 2) / (40 * (share * (1 - share)) ** 2) * 40 / 39
    half = RATING_SCALE * np.sqrt(variance / 4) * 2.0227  # t with 39 degrees; theta is half the log odds
    assert ratings.rating(0).high - ratings.rating(0).value == pytest.approx(half, rel=1e-3)


def test_strengths_are_recovered_without_bias_whatever_constant_they_have() -> None:
    first, second, outcome, clusters = votes(np.random.default_rng(0), 20_000)
    theta = fit_bradley_terry(first, second, outcome, clusters, 4).theta_N
    assert theta == pytest.approx(THETA - THETA.mean(), abs=0.02)
    assert theta.sum() == pytest.approx(0, abs=1e-9)


def test_turning_every_vote_around_turns_the_ratings_and_swapping_sides_changes_nothing() -> None:
    first, second, outcome, clusters = votes(np.random.default_rng(0), 50, ties=0.2)
    ratings = fit_bradley_terry(first, second, outcome, clusters, 4)
    turned = fit_bradley_terry(first, second, 1 - outcome, clusters, 4)
    swapped = fit_bradley_terry(second, first, 1 - outcome, clusters, 4)
    np.testing.assert_allclose(turned.theta_N, -ratings.theta_N, atol=1e-9)
    np.testing.assert_allclose(swapped.theta_N, ratings.theta_N, atol=1e-9)
    np.testing.assert_allclose(turned.covariance_NN, ratings.covariance_NN, atol=1e-9)


def test_a_tie_is_half_a_vote_for_either() -> None:
    first, second, outcome, clusters = votes(np.random.default_rng(0), 30, ties=0.3)
    both = [np.concatenate([side, side]) for side in (first, second)]
    halves = np.concatenate([np.ceil(outcome), np.floor(outcome)])
    tied = fit_bradley_terry(first, second, outcome, clusters, 4)
    split = fit_bradley_terry(*both, halves, np.concatenate([clusters, clusters]), 4)
    np.testing.assert_allclose(split.theta_N, tied.theta_N, atol=1e-9)


def test_intervals_of_ratings_cover_the_true_ones() -> None:
    rng = np.random.default_rng(2)
    hits, repeats = np.zeros(4), 500
    for _ in range(repeats):
        ratings = fit_bradley_terry(*votes(rng, 60), 4)
        for model, theta in enumerate(THETA - THETA.mean()):
            estimate = ratings.rating(model)
            hits[model] += estimate.low <= 1000 + RATING_SCALE * theta <= estimate.high
    assert ((hits / repeats >= 0.93) & (hits / repeats <= 0.97)).all()


def test_votes_of_one_prompt_count_as_one() -> None:
    first, second, outcome, clusters = votes(np.random.default_rng(0), 40)
    once = fit_bradley_terry(first, second, outcome, clusters, 4)
    fourfold = fit_bradley_terry(*(np.tile(part, 4) for part in (first, second, outcome, clusters)), 4)
    np.testing.assert_allclose(fourfold.covariance_NN, once.covariance_NN, rtol=1e-8)


@pytest.mark.parametrize("outcome", [[1.0, 1.0, 0.5], [0.5, 1.0, 1.0]])
def test_models_that_only_win_have_no_rating(outcome: list[float]) -> None:
    first, second = np.array([0, 0, 1]), np.array([1, 2, 2])
    with pytest.raises(ValueError, match="2 groups of the 3 models of which one has won or lost every"):
        fit_bradley_terry(first, second, np.array(outcome), np.arange(3), 3)
