"""What votes say as a result with metrics and tables, which reports show like any other."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from evaluation.intervals import Estimate
from evaluation.preference_study.score import Duel, left_share, rate_models, score_duels
from evaluation.preference_study.votes import Vote
from evaluation.provenance import collect_provenance
from evaluation.results import MetricValue, Result, Table

__all__ = ["summarize_votes"]


def summarize_votes(votes: Sequence[Vote], *, name: str = "preference", seed: int = 0) -> Result:
    """Win rates of every two runs that met; ratings where there are three or more."""
    duels = score_duels(votes, seed)
    metrics = [_win_rate(duel) for duel in duels]
    tables = {"Votes": _duel_table(duels), "Raters": _rater_table(votes)}
    caveats = []
    if len({name for duel in duels for name in (duel.first, duel.second)}) > 2:
        try:
            ratings = rate_models(votes)
        except ValueError as error:
            caveats.append(f"No Bradley-Terry ratings: {error}.")
        else:
            metrics += [_rating(model, rating, ratings, votes) for model, rating in ratings.items()]
            tables["Ratings (Bradley-Terry)"] = _rating_table(ratings)
    studies = sorted({vote.item.split("/")[0] for vote in votes})
    return Result(
        name=name,
        metrics=tuple(metrics),
        provenance=collect_provenance(
            seeds={"bootstrap": seed}, data={f"study {number}": study for number, study in enumerate(studies)}
        ),
        config={"caveats": caveats, "num_raters": len({vote.rater for vote in votes})},
        tables=tables,
    )


def _win_rate(duel: Duel) -> MetricValue:
    return MetricValue(
        id=f"human_win_rate[{duel.first} over {duel.second},ties=half]",
        value=duel.win_rate.value,
        direction="higher",
        n=duel.num_votes,
        ci95=(duel.win_rate.low, duel.win_rate.high),
        note=f"{duel.num_raters} raters, {duel.num_prompts} prompts; p = {duel.p:.3g} (signs of prompts)",
    )


def _rating(model: str, rating: Estimate, ratings: dict[str, Estimate], votes: Sequence[Vote]) -> MetricValue:
    return MetricValue(
        id=f"human_rating[bradley-terry,models={len(ratings)}]/{model}",
        value=rating.value,
        direction="higher",
        n=sum(model in (vote.first, vote.second) for vote in votes if vote.outcome is not None),
        ci95=(rating.low, rating.high),
        note="400 points are odds of 10 to 1; 1000 is the mean of these models",
    )


def _duel_table(duels: Sequence[Duel]) -> Table:
    columns = ("A", "B", "A wins", "ties", "B wins", "skipped", "raters", "prompts", "win rate of A")
    columns += ("95 % over prompts", "95 % of independent votes", "p", "kappa", "95 % of kappa")
    rows = [
        (
            *(duel.first, duel.second, duel.wins, duel.ties, duel.losses, duel.skipped),
            *(duel.num_raters, duel.num_prompts, duel.win_rate.value),
            *(_interval(duel.win_rate), _interval(duel.independent), duel.p),
            *((None, None) if duel.kappa is None else (duel.kappa.value, _interval(duel.kappa))),
        )
        for duel in duels
    ]
    return Table(columns=columns, rows=tuple(rows))


def _rater_table(votes: Sequence[Vote]) -> Table:
    rows = []
    for rater in dict.fromkeys(vote.rater for vote in votes):
        own = [vote for vote in votes if vote.rater == rater]
        left = left_share(own)
        ties, skips = (sum(vote.side == side for vote in own) for side in ("tie", "skip"))
        seconds = statistics.median(vote.seconds for vote in own)
        rows.append(
            (rater, len(own) - skips, ties, skips, seconds)
            + ((None, None) if left is None else (left.value, _interval(left)))
        )
    columns = ("rater", "votes", "ties", "skipped", "median seconds", "share of left", "95 % of left")
    return Table(columns=columns, rows=tuple(rows))


def _rating_table(ratings: dict[str, Estimate]) -> Table:
    rows = [(model, one.value, _interval(one, ".0f")) for model, one in ratings.items()]
    return Table(columns=("model", "rating", "95 % interval"), rows=tuple(rows))


def _interval(one: Estimate, form: str = ".3f") -> str:
    return f"{one.low:{form}} to {one.high:{form}}"
