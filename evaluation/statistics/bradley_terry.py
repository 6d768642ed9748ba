"""Ratings of many models from votes on pairs (Bradley & Terry 1952), with intervals.

The chance that i is preferred to j is sigmoid(theta_i - theta_j). Unlike Elo's running updates, the result
does not depend on the order of votes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import sparse, special, stats
from scipy.sparse.csgraph import connected_components

from evaluation.intervals import LEVEL, Estimate

__all__ = ["RATING_SCALE", "Ratings", "fit_bradley_terry"]

RATING_SCALE = 400 / math.log(10)
"""Points per unit of theta, so that 400 points are odds of 10 to 1."""

_CENTRE = 1000.0
_MAX_STEPS = 100


class Ratings(NamedTuple):
    """Strengths theta of models, with mean zero, and their covariance."""

    theta_N: np.ndarray
    covariance_NN: np.ndarray
    num_clusters: int

    def rating(self, model: int) -> Estimate:
        """On Elo's scale about 1000, with a 95 % interval (for the distance to the mean of all models)."""
        error = math.sqrt(max(0.0, self.covariance_NN[model, model]))
        half = RATING_SCALE * float(stats.t.ppf((1 + LEVEL) / 2, self.num_clusters - 1)) * error
        value = _CENTRE + RATING_SCALE * float(self.theta_N[model])
        return Estimate(value, value - half, value + half)


def fit_bradley_terry(
    first_V: np.ndarray, second_V: np.ndarray, outcome_V: np.ndarray, clusters_V: np.ndarray, num_models: int
) -> Ratings:
    """Most likely strengths, and the sandwich estimate of their covariance, clustered by prompt.

    Args:
        first_V, second_V: numbers of the two models of every vote.
        outcome_V: 1 where the first is preferred, 0 where the second is, 0.5 for a tie.
        clusters_V: number of the vote's prompt.
    """
    _check_connected(first_V, second_V, outcome_V, num_models)
    num_votes = len(first_V)
    signs_VN = np.zeros((num_votes, num_models))
    signs_VN[np.arange(num_votes), first_V] = 1
    signs_VN[np.arange(num_votes), second_V] = -1
    theta_N = np.zeros(num_models)
    for _ in range(_MAX_STEPS):
        chance_V = special.expit(signs_VN @ theta_N)
        hessian_NN = (signs_VN * (chance_V * (1 - chance_V))[:, None]).T @ signs_VN
        inverse_NN = np.linalg.pinv(hessian_NN, hermitian=True)  # theta is free up to a constant
        step_N = inverse_NN @ (signs_VN.T @ (outcome_V - chance_V))
        theta_N = theta_N + step_N / max(1.0, np.abs(step_N).max())  # never more than odds of e at once
        if np.abs(step_N).max() < 1e-10:
            break
    chance_V = special.expit(signs_VN @ theta_N)
    names, cluster_V = np.unique(clusters_V, return_inverse=True)
    if len(names) < 2:
        raise ValueError("intervals of ratings need votes on at least 2 prompts, got 1; collect more votes")
    scores_CN = np.zeros((len(names), num_models))
    np.add.at(scores_CN, cluster_V, signs_VN * (outcome_V - chance_V)[:, None])
    meat_NN = scores_CN.T @ scores_CN * len(names) / (len(names) - 1)
    return Ratings(theta_N - theta_N.mean(), inverse_NN @ meat_NN @ inverse_NN, len(names))


def _check_connected(
    first_V: np.ndarray, second_V: np.ndarray, outcome_V: np.ndarray, num_models: int
) -> None:
    """A finite optimum exists if every model can be reached from every other along votes that were won."""
    winners = np.concatenate([first_V[outcome_V > 0], second_V[outcome_V < 1]])
    losers = np.concatenate([second_V[outcome_V > 0], first_V[outcome_V < 1]])
    edges = sparse.coo_array((np.ones(len(winners)), (winners, losers)), shape=(num_models, num_models))
    num_parts, _ = connected_components(edges, connection="strong")
    if num_parts > 1:
        raise ValueError(
            f"votes leave {num_parts} groups of the {num_models} models of which one has won or lost every "
            "vote against another, or that never met; no finite ratings exist: collect more votes"
        )
