"""Win rates, agreement and ratings from votes, with intervals over prompts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from evaluation.intervals import Estimate, bootstrap_levels, wilson
from evaluation.preference_study.votes import Vote
from evaluation.statistics.agreement import fleiss_kappa
from evaluation.statistics.bootstrap import NUM_RESAMPLES, Tally, interval_of, resample_counts
from evaluation.statistics.bradley_terry import fit_bradley_terry
from evaluation.statistics.significance import sign_test

__all__ = ["Duel", "left_share", "rate_models", "score_duel", "score_duels", "win_rate"]


class Duel(NamedTuple):
    """Votes between two runs.

    Args:
        win_rate: of the first, ``(W + T / 2) / n``; the interval allows for votes on one prompt being alike.
        independent: the same with Wilson's interval, as if every vote were on a prompt of its own.
        p: two-sided sign test over prompts, each for whom most of its votes are.
        kappa: Fleiss' kappa of the raters with its interval; None where no pair has two votes.
    """

    first: str
    second: str
    wins: int
    ties: int
    losses: int
    skipped: int
    num_raters: int
    num_prompts: int
    win_rate: Estimate
    independent: Estimate
    p: float
    kappa: Estimate | None

    @property
    def num_votes(self) -> int:
        return self.wins + self.ties + self.losses


def score_duels(votes: Sequence[Vote], seed: int = 0) -> list[Duel]:
    """A duel per two runs that met, those of several studies together."""
    order = list(dict.fromkeys(name for vote in votes for name in (vote.first, vote.second)))
    turned = [vote if order.index(vote.first) < order.index(vote.second) else _turn(vote) for vote in votes]
    pairs = dict.fromkeys((vote.first, vote.second) for vote in turned)
    return [
        score_duel([vote for vote in turned if (vote.first, vote.second) == pair], seed)
        for pair in pairs
        if any(vote.outcome is not None for vote in turned if (vote.first, vote.second) == pair)
    ]


def score_duel(votes: Sequence[Vote], seed: int = 0) -> Duel:
    """Votes on the same two runs in the same order."""
    cast = [vote for vote in votes if vote.outcome is not None]
    outcomes = np.array([vote.outcome for vote in cast], np.float64)
    tally = _tally(cast)
    sums, counts, _ = tally
    favour = sums - counts / 2
    return Duel(
        first=cast[0].first,
        second=cast[0].second,
        wins=int((outcomes == 1).sum()),
        ties=int((outcomes == 0.5).sum()),
        losses=int((outcomes == 0).sum()),
        skipped=len(votes) - len(cast),
        num_raters=len({vote.rater for vote in cast}),
        num_prompts=len(counts),
        win_rate=win_rate(cast, seed=seed),
        independent=wilson(tally.value, len(cast)),
        p=sign_test(int((favour > 0).sum()), int((favour < 0).sum())),
        kappa=_kappa(cast, seed),
    )


def win_rate(cast: Sequence[Vote], *, num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> Estimate:
    """Of the first run, with a bootstrap interval over prompts; of votes that were not skipped."""
    tally = _tally(cast)
    draws = [tally.resampled(block) for block in resample_counts(tally.strata_P, num_resamples, seed)]
    estimate = interval_of(tally.value, np.concatenate(draws), len(tally.counts_P))
    if estimate.low == estimate.high:  # all prompts alike: nothing tells how much they vary
        return wilson(tally.value, len(tally.counts_P))
    return estimate


def rate_models(votes: Sequence[Vote]) -> dict[str, Estimate]:
    """Bradley-Terry ratings of all runs, the best first."""
    cast = [vote for vote in votes if vote.outcome is not None]
    names = list(dict.fromkeys(name for vote in cast for name in (vote.first, vote.second)))
    ratings = fit_bradley_terry(
        np.array([names.index(vote.first) for vote in cast]),
        np.array([names.index(vote.second) for vote in cast]),
        np.array([vote.outcome for vote in cast], np.float64),
        _numbers([vote.prompt for vote in cast]),
        len(names),
    )
    found = {name: ratings.rating(number) for number, name in enumerate(names)}
    return dict(sorted(found.items(), key=lambda item: -item[1].value))


def left_share(votes: Sequence[Vote]) -> Estimate | None:
    """How often the left side is preferred, of all votes for a side: far from 1/2 it tells of a habit."""
    sides = Counter(vote.side for vote in votes)
    decided = sides["left"] + sides["right"]
    return wilson(sides["left"] / decided, decided) if decided else None


def _tally(cast: Sequence[Vote]) -> Tally:
    prompts = _numbers([vote.prompt for vote in cast])
    counts = np.bincount(prompts).astype(np.float64)
    sums = np.bincount(prompts, np.array([vote.outcome for vote in cast], np.float64))
    return Tally(sums, counts, np.zeros(len(counts), int))


def _kappa(votes: Sequence[Vote], seed: int) -> Estimate | None:
    """With a bootstrap interval over prompts."""
    items = _numbers([vote.item for vote in votes])
    table = np.zeros((items.max() + 1, 3))
    np.add.at(table, (items, [round(2 * (vote.outcome or 0)) for vote in votes]), 1)
    value = float(fleiss_kappa(table)[0])
    if math.isnan(value):
        return None
    prompts = _numbers([vote.prompt for vote in votes])
    prompt_of_item = np.zeros(len(table), int)
    prompt_of_item[items] = prompts
    strata = np.zeros(prompts.max() + 1, int)
    found = np.concatenate(
        [fleiss_kappa(table, draws[:, prompt_of_item]) for draws in resample_counts(strata, 2000, seed)]
    )
    low, high = np.nanquantile(found, bootstrap_levels(len(strata)))
    return Estimate(value, float(low), float(high))


def _turn(vote: Vote) -> Vote:
    outcome = None if vote.outcome is None else 1 - vote.outcome
    return vote._replace(first=vote.second, second=vote.first, outcome=outcome)


def _numbers(names: Sequence[Hashable]) -> np.ndarray:
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([place[name] for name in names])
