"""The scaling law ``L(N, D) = E + A / N^alpha + B / D^beta`` with intervals (arXiv 2203.15556, Eq. 2).

Fitted as Approach 3 there, by Huber's loss of log residuals. The start is the best of a grid of exponents,
for which the other three numbers are a linear problem (variable projection), so no local optimum of a poor
start can pass for a fit. Residuals count squared up to 0.01, more than seeds differ; at that paper's 0.001
the intervals of runs with 1 % of noise came out too narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, nnls
from scipy.special import logsumexp, softmax

from evaluation.intervals import Estimate, bootstrap_levels

__all__ = ["FEWEST_RUNS", "Runs", "ScalingLaw", "bootstrap_law", "error_of_the_largest", "fit_law"]

FEWEST_RUNS = 7
_NUM_FITTED = 5
_HUBER = 0.01  # of log residuals
_EXPONENTS = np.geomspace(0.03, 1.5, 24)
_BOUNDS = np.array([(-np.inf, np.inf)] * 3 + [(0.0, 3.0)] * 2).T  # of log E, log A, log B, alpha, beta
_MOST_ALIKE = 0.99  # correlation of sizes and samples
_TINY = 1e-9  # share of the loss, for an E that the grid has left out


@dataclass(frozen=True)
class Runs:
    """Trained models (R); sizes and training in any units."""

    params_R: np.ndarray
    samples_R: np.ndarray  # images, tokens or steps seen
    loss_R: np.ndarray

    def __post_init__(self) -> None:
        columns = np.array([self.params_R, self.samples_R, self.loss_R], np.float64)
        if columns.shape[1] < FEWEST_RUNS:
            raise ValueError(f"a law of 5 numbers needs {FEWEST_RUNS} runs or more, got {columns.shape[1]}")
        if not (np.isfinite(columns).all() and (columns > 0).all()):
            raise ValueError("sizes, samples and losses of runs must be above zero, and finite")
        if any(len(np.unique(column)) < 3 for column in columns[:2]):
            raise ValueError("the law needs runs of 3 sizes and 3 numbers of samples at least; train more")
        if abs(np.corrcoef(np.log(columns[:2]))[0, 1]) > _MOST_ALIKE:
            raise ValueError(
                "sizes and samples of the runs rise together, so that nothing tells their effects apart; "
                "train some sizes for other numbers of samples"
            )


@dataclass(frozen=True, kw_only=True)
class ScalingLaw:
    """The fitted numbers."""

    irreducible: float  # E
    params_factor: float  # A
    params_exponent: float  # alpha
    samples_factor: float  # B
    samples_exponent: float  # beta

    @property
    def optimal_exponent(self) -> float:
        """a of ``N ~ C^a``, the best size for a budget of compute ``C ~ N D``."""
        return self.samples_exponent / (self.params_exponent + self.samples_exponent)

    def loss(self, params_R: np.ndarray, samples_R: np.ndarray) -> np.ndarray:
        """Expected losses (R)."""
        return (
            self.irreducible
            + self.params_factor * np.asarray(params_R, np.float64) ** -self.params_exponent
            + self.samples_factor * np.asarray(samples_R, np.float64) ** -self.samples_exponent
        )


def fit_law(runs: Runs) -> ScalingLaw:
    """The law of least Huber loss."""
    return _law(_polished(runs, np.log(runs.loss_R), _best_of_grid(runs)), runs)


def bootstrap_law(runs: Runs, *, num_resamples: int = 1000, seed: int = 0) -> dict[str, Estimate]:
    """Every number of the law with a 95 % interval.

    Runs are few and their sizes are chosen, so residuals are drawn anew, not runs; they are enlarged for what
    the fit has taken of them.
    """
    theta = _polished(runs, np.log(runs.loss_R), _best_of_grid(runs))
    law, fitted_R = _law(theta, runs), _log_loss(theta, runs)
    num = len(runs.loss_R)
    residuals_R = (np.log(runs.loss_R) - fitted_R) * (num / (num - _NUM_FITTED)) ** 0.5
    rng = np.random.default_rng(seed)
    drawn = [
        _law(_polished(runs, fitted_R + rng.choice(residuals_R - residuals_R.mean(), num), theta), runs)
        for _ in range(num_resamples)
    ]
    intervals = {}
    for name in (*ScalingLaw.__dataclass_fields__, "optimal_exponent"):
        low, high = np.quantile([getattr(one, name) for one in drawn], bootstrap_levels(num))
        intervals[name] = Estimate(getattr(law, name), float(low), float(high))
    return intervals


def error_of_the_largest(runs: Runs) -> float:
    """Relative error of the losses of the largest models under the law of all smaller ones (worst run)."""
    is_largest_R = runs.params_R == runs.params_R.max()
    smaller = Runs(*(column[~is_largest_R] for column in (runs.params_R, runs.samples_R, runs.loss_R)))
    expected = fit_law(smaller).loss(runs.params_R[is_largest_R], runs.samples_R[is_largest_R])
    return float(np.abs(expected / runs.loss_R[is_largest_R] - 1).max())


def _best_of_grid(runs: Runs) -> np.ndarray:
    """(log E, log A, log B, alpha, beta) of least relative squares, for centred sizes and samples.

    Refused where a term has vanished, whose exponent could be any.
    """
    x_R, y_R = _centred(runs)
    ones_R, found = np.ones_like(x_R), []
    for alpha in _EXPONENTS:
        for beta in _EXPONENTS:
            terms_R3 = np.stack([ones_R, np.exp(-alpha * x_R), np.exp(-beta * y_R)], axis=1)
            factors, error = nnls(terms_R3 / runs.loss_R[:, None], ones_R)
            found.append((error, alpha, beta, factors))
    _, alpha, beta, factors = min(found, key=lambda one: one[0])
    floor = _TINY * runs.loss_R.mean()
    if lone := [
        name for name, factor in zip(("sizes", "samples"), factors[1:], strict=True) if factor < floor
    ]:
        raise ValueError(
            f"losses do not fall with {' and '.join(lone)}, so that the law has no exponent of it; train a "
            "wider range of them"
        )
    return np.array([*np.log(np.maximum(factors, floor)), alpha, beta])


def _polished(runs: Runs, log_loss_R: np.ndarray, start: np.ndarray) -> np.ndarray:
    x_R, y_R = _centred(runs)

    def jacobian(theta: np.ndarray) -> np.ndarray:
        shares_R3 = softmax(_terms(theta, x_R, y_R), axis=1)
        return np.column_stack([shares_R3, -shares_R3[:, 1] * x_R, -shares_R3[:, 2] * y_R])

    found = least_squares(
        lambda theta: logsumexp(_terms(theta, x_R, y_R), axis=1) - log_loss_R,
        start,
        jacobian,
        bounds=_BOUNDS,
        loss="huber",
        f_scale=_HUBER,
        x_scale="jac",
        xtol=1e-9,
        ftol=1e-9,
        gtol=1e-9,
    )
    return found.x


def _terms(theta: np.ndarray, x_R: np.ndarray, y_R: np.ndarray) -> np.ndarray:
    """Logarithms (R, 3) of the law's three terms."""
    e, a, b, alpha, beta = theta
    return np.stack([np.full_like(x_R, e), a - alpha * x_R, b - beta * y_R], axis=1)


def _log_loss(theta: np.ndarray, runs: Runs) -> np.ndarray:
    return logsumexp(_terms(theta, *_centred(runs)), axis=1)


def _centred(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of sizes and samples (R) about their means, so that no power overflows."""
    x_R, y_R = np.log(runs.params_R), np.log(runs.samples_R)
    return x_R - x_R.mean(), y_R - y_R.mean()


def _law(theta: np.ndarray, runs: Runs) -> ScalingLaw:
    e, a, b, alpha, beta = theta
    return ScalingLaw(
        irreducible=float(np.exp(e)),
        params_factor=float(np.exp(a + alpha * np.log(runs.params_R).mean())),
        params_exponent=float(alpha),
        samples_factor=float(np.exp(b + beta * np.log(runs.samples_R).mean())),
        samples_exponent=float(beta),
    )
