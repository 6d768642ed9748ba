"""Scaling laws: exact numbers come back, intervals cover, and a command says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logsumexp

from evaluation.__main__ import main
from evaluation.scaling import law as module
from evaluation.scaling.law import Runs, ScalingLaw, bootstrap_law, error_of_the_largest, fit_law

CHINCHILLA = ScalingLaw(
    irreducible=1.69, params_factor=406.4, params_exponent=0.34, samples_factor=410.7, samples_exponent=0.28
)
BITS = ScalingLaw(
    irreducible=0.11, params_factor=7.0, params_exponent=0.3, samples_factor=3.0, samples_exponent=0.2
)


def runs_of(law: ScalingLaw, *, noise: float = 0.0, seed: int = 0) -> Runs:
    """Six sizes, each trained for five times."""
    params, samples = np.array(list(product(np.geomspace(1e7, 5e9, 6), np.geomspace(1e9, 3e11, 5)))).T
    noise_R = np.random.default_rng(seed).normal(scale=noise, size=len(params))
    return Runs(params, samples, law.loss(params, samples) * np.exp(noise_R))


@pytest.mark.parametrize("law", [CHINCHILLA, BITS], ids=["Chinchilla", "bits"])
def test_losses_without_noise_give_the_law_back(law: ScalingLaw) -> None:
    assert asdict(fit_law(runs_of(law))) == pytest.approx(asdict(law), rel=1e-5)
    assert error_of_the_largest(runs_of(law)) < 1e-6


def test_units_do_not_matter() -> None:
    runs = runs_of(CHINCHILLA, noise=0.01)
    scaled = fit_law(Runs(runs.params_R / 1e6, runs.samples_R / 1e9, runs.loss_R))
    assert scaled.params_exponent == pytest.approx(fit_law(runs).params_exponent, rel=1e-4)
    assert scaled.irreducible == pytest.approx(fit_law(runs).irreducible, rel=1e-4)


def test_the_sum_of_exponentials_is_the_law_itself() -> None:
    runs = runs_of(CHINCHILLA)
    terms_R3 = module._terms(
        np.array([0.5, 6.0, 5.0, 0.3, 0.2]), *map(np.log, (runs.params_R, runs.samples_R))
    )
    direct = ScalingLaw(
        irreducible=np.exp(0.5),
        params_factor=np.exp(6.0),
        params_exponent=0.3,
        samples_factor=np.exp(5.0),
        samples_exponent=0.2,
    )
    np.testing.assert_allclose(
        logsumexp(terms_R3, axis=1), np.log(direct.loss(runs.params_R, runs.samples_R)), rtol=1e-12
    )


def test_one_run_that_failed_changes_little() -> None:
    runs = runs_of(CHINCHILLA)
    runs.loss_R[7] *= 1.5
    assert fit_law(runs).params_exponent == pytest.approx(0.34, abs=0.01)


def test_the_best_size_grows_with_compute_as_the_exponents_say() -> None:
    assert CHINCHILLA.optimal_exponent == pytest.approx(0.28 / 0.62)


def test_intervals_follow_from_their_seed_and_widen_with_noise() -> None:
    def width(noise: float, seed: int = 0) -> float:
        intervals = bootstrap_law(runs_of(CHINCHILLA, noise=noise), num_resamples=15, seed=seed)
        one = intervals["params_exponent"]
        assert one.low < one.high
        return one.high - one.low

    assert width(0.01) == width(0.01)
    assert width(0.01, seed=1) != width(0.01)
    assert width(0.002) < width(0.02)


@pytest.mark.slow
def test_intervals_cover() -> None:
    hits = []
    for seed in range(30):
        intervals = bootstrap_law(runs_of(CHINCHILLA, noise=0.005, seed=seed), num_resamples=40, seed=seed)
        hits.append([one.low <= getattr(CHINCHILLA, name) <= one.high for name, one in intervals.items()])
    assert np.mean(hits) > 0.87
    assert (np.mean(hits, axis=0) > 0.8).all()


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        (np.ones((3, 6)), "needs 7 runs or more, got 6"),
        (np.ones((3, 8)), "runs of 3 sizes"),
        (np.zeros((3, 8)), "above zero"),
    ],
)
def test_runs_that_say_too_little_are_refused(columns: np.ndarray, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Runs(*columns)


@pytest.mark.parametrize(
    ("losses", "problem"),
    [
        (lambda n, d: 1 + 1e-10 * n, "do not fall with sizes and samples"),
        (lambda n, d: 1 + 400 * n**-0.34, "do not fall with samples"),
    ],
    ids=["larger models are worse", "samples do not matter"],
)
def test_losses_that_do_not_follow_the_law_are_refused(losses: Callable, problem: str) -> None:
    runs = runs_of(CHINCHILLA)
    with pytest.raises(ValueError, match=problem):
        fit_law(Runs(runs.params_R, runs.samples_R, losses(runs.params_R, runs.samples_R)))


def test_sizes_and_samples_that_rise_together_are_refused() -> None:
    """By samples in proportion to sizes, no fit can tell one exponent from the other."""
    params_R = np.geomspace(1e7, 5e9, 8)
    with pytest.raises(ValueError, match="rise together"):
        Runs(params_R, 20 * params_R, CHINCHILLA.loss(params_R, 20 * params_R))


def test_numbers_stay_finite_where_a_term_is_noise() -> None:
    params, samples = np.array(list(product(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e10, 4)))).T
    noise_R = np.random.default_rng(2).normal(scale=0.01, size=len(params))
    noisy = Runs(params, samples, (1 + 400 * params**-0.34) * np.exp(noise_R))
    intervals = bootstrap_law(noisy, num_resamples=30)
    assert all(np.isfinite(one).all() for one in intervals.values())
    low, high = intervals["samples_exponent"][1:]
    assert high - low > 1, "nothing is known of it"


def test_the_command_prints_numbers_with_intervals(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    runs = runs_of(CHINCHILLA, noise=0.003)
    rows = zip(runs.params_R, runs.samples_R, runs.loss_R, strict=True)
    lines = [json.dumps({"params": n, "samples": d, "loss": loss}) for n, d, loss in rows]
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(lines))
    main(["scaling", str(path), "--resamples", "20"])
    report = json.loads(capsys.readouterr().out)
    assert report["runs"] == 30
    assert report["params_exponent"]["ci95"][0] < 0.34 < report["params_exponent"]["ci95"][1]
    assert 0 < report["relative_error_of_the_largest_model_left_out"] < 0.05
    path.write_text(lines[0].replace("loss", "lost"))
    with pytest.raises(SystemExit, match="needs numbers params, samples, loss in every line: 'loss'"):
        main(["scaling", str(path)])
