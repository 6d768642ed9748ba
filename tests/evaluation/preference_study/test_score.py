"""Win rates, agreement and ratings from files of votes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from evaluation.__main__ import main
from evaluation.intervals import wilson
from evaluation.preference_study.score import left_share, rate_models, score_duel, score_duels, win_rate
from evaluation.preference_study.votes import Vote
from evaluation.results import Result


def vote(
    outcome: float | None, prompt: int = 0, rater: str = "r", first: str = "A", second: str = "B"
) -> Vote:
    return Vote(first, second, outcome, f"s/{prompt}", f"prompt {prompt}", rater, "left", 1.0)


def test_a_tie_is_half_a_win_and_a_skip_is_nothing() -> None:
    votes = [vote(value, number) for number, value in enumerate([1, 1, 1, 0.5, 0.5, 0, None])]
    duel = score_duel(votes)
    assert (duel.wins, duel.ties, duel.losses, duel.skipped, duel.num_votes) == (3, 2, 1, 1, 6)
    assert duel.win_rate.value == pytest.approx((3 + 2 / 2) / 6)
    assert duel.independent == wilson(4 / 6, 6)
    assert duel.p == pytest.approx(2 * (1 + 4) / 16)  # three prompts of four
    assert duel.kappa is None


def test_win_rates_of_both_sides_add_up_to_one_and_intervals_mirror() -> None:
    rng = np.random.default_rng(0)
    votes = [vote(float(rng.choice([0, 0.5, 1], p=[0.2, 0.2, 0.6])), k // 3, f"r{k % 3}") for k in range(120)]
    turned = [one._replace(first="B", second="A", outcome=1 - one.outcome) for one in votes]
    there, back = score_duel(votes), score_duel(turned)
    assert back.win_rate == pytest.approx(
        (1 - there.win_rate[0], 1 - there.win_rate[2], 1 - there.win_rate[1])
    )
    assert (back.p, back.kappa) == (there.p, there.kappa)
    # a vote is turned to the order in which runs first appear
    mixed = score_duels([*votes[:60], *turned[60:]])
    assert mixed == [there]


def test_votes_of_one_prompt_do_not_narrow_the_interval() -> None:
    outcomes = np.random.default_rng(0).random(60) < 0.7
    once = score_duel([vote(float(one), number) for number, one in enumerate(outcomes)])
    many = score_duel(
        [vote(float(one), number, f"r{k}") for number, one in enumerate(outcomes) for k in range(5)]
    )
    assert many.win_rate == pytest.approx(once.win_rate)
    assert many.independent.high - many.independent.low < 0.5 * (once.independent.high - once.independent.low)
    assert many.p == once.p
    assert many.kappa == (1, 1, 1)


def test_unanimous_votes_do_not_claim_certainty() -> None:
    assert score_duel([vote(1.0, number) for number in range(10)]).win_rate == wilson(1.0, 10)


def test_win_rates_have_no_bias_and_their_intervals_cover() -> None:
    """Three raters a prompt who agree more than by chance; a fifth are ties."""
    rng = np.random.default_rng(3)
    values, hits, truth, repeats = [], 0, 0.2 / 2 + 0.8 * 0.6, 500
    for _ in range(repeats):
        chances = np.repeat(rng.beta(1.8, 1.2, 40), 3)
        outcomes = np.where(rng.random(120) < 0.2, 0.5, rng.random(120) < chances)
        votes = [vote(float(one), number // 3, f"r{number % 3}") for number, one in enumerate(outcomes)]
        estimate = win_rate(votes, num_resamples=400, seed=int(rng.integers(2**31)))
        values.append(estimate.value)
        hits += estimate.low <= truth <= estimate.high
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / repeats**0.5)
    assert 0.93 <= hits / repeats <= 0.97


def test_ratings_follow_the_votes_of_several_studies() -> None:
    rng = np.random.default_rng(0)
    strength = {"A": 0.0, "B": 0.5, "C": 1.0}
    votes = []
    for number in range(900):
        first, second = rng.permutation(list(strength))[:2]
        chance = 1 / (1 + np.exp(strength[second] - strength[first]))
        votes.append(vote(float(rng.random() < chance), number, first=str(first), second=str(second)))
    ratings = rate_models(votes)
    assert list(ratings) == ["C", "B", "A"]
    assert sum(one.value for one in ratings.values()) == pytest.approx(3000)
    assert ratings["C"].low <= 1000 + 0.5 * 400 / np.log(10) <= ratings["C"].high


def test_a_habit_of_the_left_is_seen() -> None:
    votes = [vote(1.0)._replace(side=side) for side in ["left"] * 9 + ["right"] + ["tie"] * 5]
    assert left_share(votes) == wilson(0.9, 10)
    assert left_share([vote(0.5)._replace(side="tie")]) is None


@pytest.fixture
def key(runs, tmp_path) -> Path:
    main(["preference", "build", *map(str, runs), "--output", str(tmp_path / "study")])
    return tmp_path / "study" / "key.json"


def test_saved_votes_become_a_result(key, write_votes, tmp_path, capsys) -> None:
    votes = [
        write_votes(key, "ann", "alpha", {"1": "tie"}),
        write_votes(key, "bob", "alpha", {"1": "skip"}),
        write_votes(key, "cy", "beta"),
    ]
    capsys.readouterr()
    main(["preference", "score", *map(str, votes), "--output", str(tmp_path / "scores")])
    text = capsys.readouterr().out
    assert (tmp_path / "scores" / "preference.md").read_text() == text
    result = Result.load(tmp_path / "scores")
    metric = result["human_win_rate[alpha over beta,ties=half]"]
    assert metric.value == pytest.approx((14 + 0.5) / 23)
    assert metric.n == 23
    assert metric.ci95[0] < metric.value < metric.ci95[1]
    row = dict(zip(result.tables["Votes"].columns, result.tables["Votes"].rows[0], strict=True))
    assert (row["A wins"], row["ties"], row["B wins"], row["skipped"], row["raters"]) == (14, 1, 8, 1, 3)
    assert row["prompts"] == 4
    assert row["kappa"] < 0  # two against one on every pair is less than by chance
    raters = {row[0]: row[1:] for row in result.tables["Raters"].rows}
    assert raters["cy"][:4] == (8, 0, 0, 1.5)
    assert raters["cy"][4] == pytest.approx(0.5)


def test_three_runs_are_rated(runs, key, write_votes, tmp_path, capsys) -> None:
    keys = [key]
    for first, second in (("alpha", "gamma"), ("beta", "gamma")):
        output = tmp_path / f"{first}-{second}"
        main(["preference", "build", *map(str, runs), "--output", str(output), "--names", first, second])
        keys.append(output / "key.json")
    half = {"1": "tie", "2": "tie"}
    votes = [
        write_votes(one, "ann", name, half)
        for one, name in zip(keys, ("alpha", "gamma", "beta"), strict=True)
    ]
    capsys.readouterr()
    main(["preference", "score", *map(str, votes), "--output", str(tmp_path / "scores")])
    assert "## Ratings (Bradley-Terry)" in capsys.readouterr().out
    ids = [metric.id for metric in Result.load(tmp_path / "scores").metrics]
    assert sum(one.startswith("human_win_rate") for one in ids) == 3
    assert "human_rating[bradley-terry,models=3]/gamma" in ids
    winners = [
        write_votes(one, "ann", name) for one, name in zip(keys, ("alpha", "alpha", "beta"), strict=True)
    ]
    main(["preference", "score", *map(str, winners)])
    assert "No Bradley-Terry ratings: votes leave 3 groups" in capsys.readouterr().out


def test_votes_that_do_not_fit_are_refused(key, write_votes, runs, tmp_path) -> None:
    ann = write_votes(key, "ann", "alpha")
    bad = tmp_path / "bad.json"

    def refuse(sentence: str, *words: object) -> None:
        with pytest.raises(SystemExit, match=sentence):
            main(["preference", "score", *map(str, words)])

    refuse("are both votes of 'ann'; pass the later one only", ann, _copy(ann, bad), "--key", key)
    refuse(r"no key\.json beside the votes or in the folder above", bad)
    refuse("is of the study other, the keys are of", _copy(ann, bad, study="other"), "--key", key)
    refuse(
        "expected one vote of left, right, tie, skip on a pair",
        _copy(ann, bad, votes=[{"pair": ["99"], "vote": "tie"}]),
        "--key",
        key,
    )
    refuse("no votes but skips", _copy(ann, bad, votes=[]), "--key", key)
    refuse("holds no votes; pass what raters saved", key)
    refuse("holds no votes; pass what raters saved", _copy(ann, bad, votes=None), "--key", key)
    refuse("is of the study", _copy(ann, bad, study=["other"]), "--key", key)
    refuse("is no key of a study", ann, "--key", ann)
    refuse("is no key of a study", ann, "--key", _copy(key, bad, pairs=[{"id": "1"}]))


def _copy(source: Path, target: Path, **changed: object) -> Path:
    target.write_text(json.dumps({**json.loads(source.read_text()), **changed}))
    return target


def test_the_interval_over_prompts_is_students_of_their_means() -> None:
    """Of many prompts with a vote of each rater, the bootstrap's is the closed form's within its grid."""
    outcomes = np.random.default_rng(1).random((300, 3)) < 0.6
    votes = [
        vote(float(one), number, f"r{k}") for number, row in enumerate(outcomes) for k, one in enumerate(row)
    ]
    estimate, means = score_duel(votes).win_rate, outcomes.mean(axis=1)
    half = float(stats.t.ppf(0.975, 299)) * means.std(ddof=1) / 300**0.5
    assert estimate.value == pytest.approx(means.mean())
    assert (estimate.value - estimate.low, estimate.high - estimate.value) == pytest.approx(
        (half, half), rel=0.05
    )


def test_the_interval_of_independent_votes_is_wilsons() -> None:
    """15 of 20: 0.5313 to 0.8881 (Wilson 1927, by hand from z = 1.96)."""
    duel = score_duel([vote(float(number < 15), number) for number in range(20)])
    assert duel.independent == pytest.approx((0.75, 0.5313, 0.8881), abs=1e-4)
