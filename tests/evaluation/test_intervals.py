from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from evaluation.intervals import (
    Estimate,
    bootstrap_levels,
    bootstrap_mean,
    clustered_share,
    difference_of_estimates,
    mean_of_estimates,
    median_of,
    wilson,
)


def test_wilson_agrees_with_scipy() -> None:
    for right, num in [(0, 7), (3, 7), (40, 40), (55, 90)]:
        expected = stats.binomtest(right, num).proportion_ci(method="wilson")
        assert wilson(right / num, num)[1:] == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_clusters_of_one_give_the_interval_of_independent_images() -> None:
    outcomes = [True] * 60 + [False] * 20
    ours = clustered_share(outcomes, range(80))
    # the unbiased variance is n / (n - 1) of the plug-in one, and Student's t is a little wider
    plain = wilson(0.75, 79, stats.t.ppf(0.975, 79))
    assert ours == pytest.approx(plain, abs=1e-12)


def test_images_that_agree_within_their_prompt_count_as_one() -> None:
    outcomes = [True, False] * 20
    once = clustered_share(outcomes, range(40))
    fourfold = clustered_share(np.repeat(outcomes, 4).tolist(), np.repeat(range(40), 4).tolist())
    assert fourfold == pytest.approx(once, abs=1e-12)


def test_clustered_variance_is_that_of_prompt_means() -> None:
    """The clustered variance of a mean: SE^2 = sum_p (m_p - m)^2 / (P (P - 1)) (normal limit)."""
    rng = np.random.default_rng(0)
    means = rng.choice([0.0, 0.5, 1.0], 400)
    outcomes = np.stack([np.arange(4) < 4 * mean for mean in means])
    ours = clustered_share(outcomes.ravel().tolist(), np.repeat(range(400), 4).tolist())
    error = np.sqrt(np.square(means - means.mean()).sum() / (400 * 399))
    assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * error, rel=0.02)


@pytest.mark.parametrize("alike", [0.0, 0.4], ids=["independent", "prompts differ"])
def test_intervals_cover_the_truth_as_often_as_they_say(alike: float) -> None:
    """Six tasks of 40 prompts x 4 images, chances differing by prompt (intra-class correlation `alike`)."""
    rng = np.random.default_rng(0)
    truth = [0.3, 0.5, 0.6, 0.7, 0.8, 0.9]
    task_hits, overall_hits, repeats = 0, 0, 250
    for _ in range(repeats):
        tasks = []
        for share in truth:
            chances = rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), 40) if alike else share
            outcomes = rng.random((4, 40)) < chances
            tasks.append(clustered_share(outcomes.T.ravel().tolist(), np.repeat(range(40), 4).tolist()))
        task_hits += sum(one.low <= share <= one.high for one, share in zip(tasks, truth, strict=True))
        overall = mean_of_estimates(tasks)
        overall_hits += overall.low <= np.mean(truth) <= overall.high
    assert 0.93 <= task_hits / (6 * repeats) <= 0.985
    assert 0.92 <= overall_hits / repeats <= 0.99


@pytest.mark.parametrize(("num_prompts", "share", "alike"), [(100, 0.99, 0.8), (16, 0.9, 0.6)])
def test_intervals_cover_shares_near_one_of_images_that_are_alike(
    num_prompts: int, share: float, alike: float
) -> None:
    """Four images a prompt; a run where all are right is common. Covered: 95 % and 93 % of 2000 runs."""
    rng = np.random.default_rng(0)
    prompts = np.repeat(range(num_prompts), 4).tolist()
    hits, repeats = 0, 500
    for _ in range(repeats):
        chances = rng.beta(share * (1 / alike - 1), (1 - share) * (1 / alike - 1), num_prompts)
        outcomes = rng.random((4, num_prompts)) < chances
        estimate = clustered_share(outcomes.T.ravel().tolist(), prompts)
        hits += estimate.low <= share <= estimate.high
    assert 0.9 <= hits / repeats <= 0.98


@pytest.mark.parametrize("outcome", [False, True])
def test_images_of_a_prompt_count_as_one_where_all_are_right_or_all_wrong(outcome: bool) -> None:
    estimate = clustered_share([outcome] * 40, [f"prompt {k % 4}" for k in range(40)])
    assert estimate == wilson(float(outcome), 4)
    assert estimate.high - estimate.low > 0.4


def test_one_prompt_says_next_to_nothing() -> None:
    estimate = clustered_share([True] * 30, ["the prompt"] * 30)
    assert estimate.low < 0.3


def test_mean_of_symmetric_estimates_adds_their_variances() -> None:
    mean = mean_of_estimates([Estimate(0.4, 0.3, 0.5), Estimate(0.6, 0.5, 0.7)])
    assert mean == pytest.approx((0.5, 0.5 - 0.1 / 2**0.5, 0.5 + 0.1 / 2**0.5))


def test_bootstrap_gives_the_standard_error_of_a_mean_and_is_reproducible() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    mean = bootstrap_mean(values)
    assert mean.value == pytest.approx(values.mean())
    assert (mean.high - mean.low) / 2 == pytest.approx(1.96 * values.std(ddof=1) / 20, rel=0.08)
    assert mean == bootstrap_mean(values)


def test_bootstrap_of_many_values_needs_little_memory() -> None:
    values = np.random.default_rng(0).normal(size=50_000)
    tracemalloc.start()
    try:
        bootstrap_mean(values, num_resamples=50)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * values.nbytes


def test_outcomes_without_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="a cluster for each outcome"):
        clustered_share([True, False], ["a"])


def covered(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


@pytest.mark.parametrize(("num", "share"), [(40, 0.3), (100, 0.9), (600, 0.7)])
def test_wilsons_interval_covers_the_true_share(num: int, share: float) -> None:
    """Exactly: over all counts that may be seen, by their chances."""
    chances = stats.binom.pmf(range(num + 1), num, share)
    hits = [covered(wilson(seen / num, num), share) for seen in range(num + 1)]
    assert 0.93 <= chances @ hits <= 0.97


@pytest.mark.parametrize("num", [12, 60])
def test_bootstrap_intervals_cover_the_true_mean_even_of_few_values(num: int) -> None:
    samples = np.random.default_rng(0).normal(3, 2, (500, num))
    hits = [covered(bootstrap_mean(one, num_resamples=300), 3) for one in samples]
    assert 0.93 <= np.mean(hits) <= 0.97


def test_bootstrap_levels_tend_to_those_of_the_normal_distribution() -> None:
    assert bootstrap_levels(10**6) == pytest.approx((0.025, 0.975), abs=1e-5)
    assert bootstrap_levels(10)[0] < 0.01
    assert bootstrap_levels(1) == pytest.approx((0.025, 0.975))


def test_intervals_of_medians_cover_them_whatever_the_distribution() -> None:
    """Twenty values: the sixth and the fifteenth hold the median with 95.9 %."""
    samples = np.random.default_rng(0).exponential(size=(2000, 20))
    assert 0.945 <= np.mean([covered(median_of(one), np.log(2)) for one in samples]) <= 0.97
    assert median_of(range(1, 21)) == (10.5, 6, 15)
    assert median_of([3.0, 1.0, 2.0]) == (2, 1, 3)


def test_the_difference_of_independent_estimates_is_covered() -> None:
    """Shares near the edge, where the arms of intervals differ (Newcombe's method 10 for Wilson's)."""
    seen = np.random.default_rng(0).binomial(60, (0.95, 0.8), (2000, 2)) / 60
    hits = [
        covered(difference_of_estimates(wilson(first, 60), wilson(second, 60)), -0.15)
        for first, second in seen
    ]
    assert 0.93 <= np.mean(hits) <= 0.97
