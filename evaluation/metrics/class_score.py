"""Inception Score (arXiv 1606.03498): a classifier is sure of every image, and images are of many classes."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import log_softmax

from evaluation.intervals import LEVEL, Estimate

__all__ = ["class_score"]


def class_score(logits_NC: np.ndarray, *, num_splits: int = 10, seed: int = 2020) -> Estimate:
    """``exp(E_x KL(p(y|x) || p(y)))``, the mean over splits of shuffled images.

    Shuffle, splits and seed are torch-fidelity's. The interval is Student's, from the splits' own scores.
    """
    num = len(logits_NC)
    if not 1 <= num_splits <= num:
        raise ValueError(f"expected 1 to {num} splits of {num} images, got {num_splits}")
    order = np.random.RandomState(seed).permutation(num)
    scores = []
    for split in range(num_splits):
        rows = order[split * num // num_splits : (split + 1) * num // num_splits]
        log_p = log_softmax(np.asarray(logits_NC[rows], np.float64), axis=1)
        p = np.exp(log_p)
        with np.errstate(divide="ignore", invalid="ignore"):  # classes that no image has at all
            terms = np.where(p > 0, p * (log_p - np.log(p.mean(axis=0))), 0)
        scores.append(float(np.exp(terms.sum(axis=1).mean())))
    value = float(np.mean(scores))
    if num_splits == 1:
        return Estimate(value, value, value)
    error = float(np.std(scores, ddof=1)) / num_splits**0.5
    half = float(stats.t.ppf((1 + LEVEL) / 2, num_splits - 1)) * error
    return Estimate(value, value - half, value + half)
