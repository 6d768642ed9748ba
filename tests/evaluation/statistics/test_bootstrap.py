"""The bootstrap over prompts: closed forms, coverage, pairing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from evaluation.statistics.bootstrap import Tally, interval_of, paired_difference, resample_counts


def tally(values_PI: np.ndarray, strata: np.ndarray | None = None) -> Tally:
    """Of prompts (P) with as many images (I) each."""
    num = len(values_PI)
    counts = np.full(num, values_PI.shape[1], np.float64)
    return Tally(values_PI.sum(axis=1), counts, np.zeros(num, int) if strata is None else strata)


def test_a_paired_bootstrap_has_the_standard_error_of_the_prompts_differences() -> None:
    rng = np.random.default_rng(0)
    easy = rng.normal(size=(400, 1))
    first, second = easy + rng.normal(0, 0.3, (400, 4)), easy + rng.normal(0.1, 0.3, (400, 4))
    found = paired_difference(tally(first), tally(second))
    differences = (second - first).mean(axis=1)
    error = differences.std(ddof=1) / 400**0.5
    assert found.estimate.value == pytest.approx(differences.mean())
    assert found.standard_error == pytest.approx(error, rel=0.03)
    expected = stats.t.interval(0.95, 399, differences.mean(), error)
    assert found.estimate[1:] == pytest.approx(expected, abs=0.1 * error)


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.045, 0.3])
def test_p_agrees_with_students_t_far_into_the_tail(shift: float) -> None:
    differences = stats.norm.ppf((np.arange(40) + 0.5) / 40)
    differences = shift + 0.1 * differences
    found = paired_difference(tally(np.zeros((40, 1))), tally(differences[:, None]), num_resamples=20_000)
    expected = stats.ttest_1samp(differences, 0).pvalue
    assert np.log(found.p) == pytest.approx(np.log(expected), abs=0.1 * max(1, -np.log(expected)))
    assert (found.p < 0.05) == (found.estimate.low > 0)


def test_a_stratified_mean_weighs_strata_alike_and_adds_their_variances() -> None:
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1], [300, 60])
    values = np.where(strata, rng.normal(3, 2, 360), rng.normal(1, 1, 360))[:, None]
    found = paired_difference(tally(np.zeros((360, 1)), strata), tally(values, strata))
    means = [values[strata == k].mean() for k in (0, 1)]
    errors = [values[strata == k].std(ddof=1) / (strata == k).sum() ** 0.5 for k in (0, 1)]
    assert found.estimate.value == pytest.approx(np.mean(means))
    assert found.standard_error == pytest.approx(np.hypot(*errors) / 2, rel=0.03)


def test_resamples_keep_the_size_of_every_stratum() -> None:
    strata = np.array([0, 1, 0, 1, 1])
    (draws,) = resample_counts(strata, 50)
    assert (draws[:, strata == 0].sum(axis=1) == 2).all()
    assert (draws[:, strata == 1].sum(axis=1) == 3).all()


def test_prompts_of_more_images_weigh_more() -> None:
    few_and_many = Tally(np.array([1.0, 0.0]), np.array([1.0, 3.0]), np.array([0, 0]))
    assert few_and_many.value == 0.25


@pytest.mark.parametrize(("num_prompts", "alike"), [(25, 0.6), (100, 0.2)])
def test_paired_intervals_cover_the_true_difference(num_prompts: int, alike: float) -> None:
    """Right and wrong images, four per prompt, of two models whose chances are alike by prompt."""
    rng = np.random.default_rng(1)
    shares, hits, repeats = (0.55, 0.65), 0, 500
    for _ in range(repeats):
        latent = np.sqrt(alike) * rng.normal(size=(num_prompts, 1))
        runs = [
            latent + np.sqrt(1 - alike) * rng.normal(size=(num_prompts, 4)) < stats.norm.ppf(share)
            for share in shares
        ]
        seed = int(rng.integers(2**31))
        estimate, *_ = paired_difference(*(tally(run) for run in runs), num_resamples=600, seed=seed)
        hits += estimate.low <= shares[1] - shares[0] <= estimate.high
    assert 0.93 <= hits / repeats <= 0.97


def test_pairing_narrows_the_interval_where_prompts_matter() -> None:
    rng = np.random.default_rng(0)
    easy = rng.normal(0, 1, (80, 1))
    first, second = (tally(easy + rng.normal(0, 0.1, (80, 1))) for _ in range(2))
    shuffled = second._replace(sums_P=rng.permutation(second.sums_P))
    assert paired_difference(first, second).standard_error < 0.2 * (
        paired_difference(first, shuffled).standard_error
    )


def test_other_prompts_are_refused_and_seeds_repeat() -> None:
    one, other = tally(np.ones((5, 1))), tally(np.ones((6, 1)))
    with pytest.raises(ValueError, match="the same prompts in both runs, got 5 and 6"):
        paired_difference(one, other)
    values = tally(np.random.default_rng(0).normal(size=(9, 2)))
    zero = tally(np.zeros((9, 2)))
    assert paired_difference(zero, values, seed=3) == paired_difference(zero, values, seed=3)


def test_blocks_of_resamples_fit_into_memory() -> None:
    blocks = list(resample_counts(np.zeros(100_000, int), 100))
    assert len(blocks) == 3
    assert sum(map(len, blocks)) == 100
    assert all((block.sum(axis=1) == 100_000).all() for block in blocks)


def test_an_interval_of_few_prompts_is_that_of_students_t() -> None:
    resamples = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    half = stats.t.ppf(0.975, 9) * (10 / 9) ** 0.5
    assert interval_of(0.0, resamples, 10) == pytest.approx((0, -half, half), rel=1e-2)
