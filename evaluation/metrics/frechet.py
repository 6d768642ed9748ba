"""Fréchet distance between Gaussians fitted to two sets of features, in float64 (FID, arXiv 1706.08500).

``|mu1 - mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)`` with covariances over N - 1. The last trace comes from
symmetric eigenvalues, or, where a set has fewer samples than features, from the nuclear norm of the product
of the centred samples: roots of the rounding noise in null directions would bias it there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = [
    "FeatureStatistics",
    "RunningFrechet",
    "frechet_distance",
    "frechet_distance_of_moments",
    "frechet_distance_to",
]

_ROWS = 4096  # that are float64 at once


def frechet_distance(features_ND: np.ndarray, others_MD: np.ndarray) -> float:
    """Distance between two sets of features, by whichever route is exact for their sizes."""
    for features in (features_ND, others_MD):
        if features.ndim != 2 or len(features) < 2:
            raise ValueError(f"expected features (N >= 2, D), got {features.shape}")
    if features_ND.shape[1] != others_MD.shape[1]:
        raise ValueError(f"features differ in width: {features_ND.shape[1]} and {others_MD.shape[1]}")
    if min(len(features_ND), len(others_MD)) >= features_ND.shape[1]:
        one, other = FeatureStatistics.of(features_ND), FeatureStatistics.of(others_MD)
        return frechet_distance_of_moments(one, other)
    mean, scaled = _centred(features_ND)
    other_mean, other_scaled = _centred(others_MD)
    nuclear = np.linalg.svd(scaled @ other_scaled.T, compute_uv=False).sum()
    traces = np.square(scaled).sum() + np.square(other_scaled).sum()
    return float(np.square(mean - other_mean).sum() + traces - 2 * nuclear)


def frechet_distance_of_moments(one: FeatureStatistics, other: FeatureStatistics) -> float:
    """Distance between two sets that are known by their moments only (reference statistics, streams)."""
    eigenvalues = np.linalg.eigvalsh(one.root @ other.covariance @ one.root)
    trace_of_root = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    traces = np.trace(one.covariance) + np.trace(other.covariance)
    return float(np.square(one.mean - other.mean).sum() + traces - 2 * trace_of_root)


def frechet_distance_to(reference: FeatureStatistics, features_ND: np.ndarray) -> float:
    """Distance of features from a set that is known by its moments only."""
    if len(features_ND) >= len(reference.mean):
        return frechet_distance_of_moments(reference, FeatureStatistics.of(features_ND))
    mean, scaled = _centred(features_ND)
    nuclear = np.linalg.svd(scaled @ reference.root, compute_uv=False).sum()
    traces = np.trace(reference.covariance) + np.square(scaled).sum()
    return float(np.square(reference.mean - mean).sum() + traces - 2 * nuclear)


@dataclass(frozen=True)
class FeatureStatistics:
    """Moments of a set of features; add two to get those of the union (streams, ranks)."""

    num: int
    mean: np.ndarray  # float64 (D,)
    scatter: np.ndarray  # float64 (D, D), sum of outer products of deviations from the mean

    @classmethod
    def of(cls, features_ND: np.ndarray) -> FeatureStatistics:
        mean = features_ND.mean(axis=0, dtype=np.float64)
        scatter = np.zeros((len(mean), len(mean)))
        for start in range(0, len(features_ND), _ROWS):
            deviations = features_ND[start : start + _ROWS] - mean
            scatter += deviations.T @ deviations
        return cls(len(features_ND), mean, scatter)

    def __add__(self, other: FeatureStatistics) -> FeatureStatistics:
        num = self.num + other.num
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.num * other.num / num)
        return FeatureStatistics(num, self.mean + gap * (other.num / num), scatter)

    @property
    def covariance(self) -> np.ndarray:
        return self.scatter / (self.num - 1)

    @cached_property
    def root(self) -> np.ndarray:
        """Symmetric root of the covariance; remembered, as a reference serves many distances."""
        eigenvalues, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(np.clip(eigenvalues, 0, None))) @ vectors.T


class RunningFrechet:
    """Distance between two sets of features that grow together, in memory that stops growing.

    Features are kept whole until there are as many as they are wide (below that only whole sets give the
    exact distance), and as moments from then on.
    """

    def __init__(self) -> None:
        self._whole: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        self._moments: list[FeatureStatistics] = []

    def add(self, features_ND: np.ndarray, others_ND: np.ndarray) -> None:
        """Add as many features to both sets."""
        if features_ND.shape != others_ND.shape or features_ND.ndim != 2:
            raise ValueError(
                f"expected two arrays (N, D) of one shape, got {features_ND.shape} and {others_ND.shape}"
            )
        for whole, features in zip(self._whole, (features_ND, others_ND), strict=True):
            whole.append(features)
        if sum(map(len, self._whole[0])) >= features_ND.shape[1]:
            self._fold()

    def distance(self) -> float:
        """The distance between what was added so far."""
        if not self._moments:
            return frechet_distance(*map(np.concatenate, self._whole))
        if self._whole[0]:
            self._fold()
        return frechet_distance_of_moments(*self._moments)

    def _fold(self) -> None:
        parts = [FeatureStatistics.of(np.concatenate(whole)) for whole in self._whole]
        self._moments = (
            [total + part for total, part in zip(self._moments, parts, strict=True)]
            if self._moments
            else parts
        )
        self._whole = ([], [])


def _centred(features_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,), and A (N, D) with A^T A = covariance."""
    features = np.asarray(features_ND, np.float64)
    mean = features.mean(axis=0)
    return mean, (features - mean) / math.sqrt(len(features) - 1)
