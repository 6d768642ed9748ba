"""Do raters agree beyond chance? Fleiss' kappa."""

from __future__ import annotations

import numpy as np

__all__ = ["fleiss_kappa"]


def fleiss_kappa(votes_IK: np.ndarray, draws_RI: np.ndarray | None = None) -> np.ndarray:
    """Fleiss' kappa: 1 for full agreement, 0 for chance.

    Args:
        votes_IK: how many raters put item I into category K. Items may have different numbers of raters;
            those of fewer than two say nothing about agreement.
        draws_RI: how often every item counts, for a bootstrap.

    Returns:
        One value per resample (R), or one alone; NaN where all votes are for one category.
    """
    votes_IK = np.asarray(votes_IK, np.float64)
    draws_RI = np.ones((1, len(votes_IK))) if draws_RI is None else draws_RI
    raters_I = votes_IK.sum(axis=1)
    several = raters_I >= 2
    votes_IK, raters_I, draws_RI = votes_IK[several], raters_I[several], draws_RI[:, several]
    if not len(votes_IK):
        return np.full(len(draws_RI), np.nan)
    agreeing_I = (votes_IK * (votes_IK - 1)).sum(axis=1) / (raters_I * (raters_I - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        observed_R = draws_RI @ agreeing_I / draws_RI.sum(axis=1)
        shares_RK = draws_RI @ votes_IK / (draws_RI @ raters_I)[:, None]
        by_chance_R = np.square(shares_RK).sum(axis=1)
        return np.where(by_chance_R < 1, (observed_R - by_chance_R) / (1 - by_chance_R), np.nan)
