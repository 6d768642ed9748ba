"""Every metric of two runs: difference, interval, and whether it is one after a look at so many metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from scipy import stats

from evaluation.comparison.measures import columns_of, paired_tallies
from evaluation.comparison.runs import EvaluatedRun, common_metrics, differing_settings, refuse_other_inputs
from evaluation.intervals import LEVEL, Estimate, difference_of_estimates
from evaluation.results import Direction, MetricValue
from evaluation.statistics.bootstrap import NUM_RESAMPLES, Difference, paired_difference
from evaluation.statistics.significance import holm, minimum_detectable_difference

__all__ = ["Comparison", "MetricDifference", "compare_runs"]

Test = Literal["paired prompts", "intervals", "none"]
_SIGNIFICANT = 1 - LEVEL
_FEWEST_PROMPTS = 6


@dataclass(frozen=True, kw_only=True)
class MetricDifference:
    """One metric in both runs.

    Args:
        difference: second minus first.
        ci95: of the difference.
        p: two-sided; `p_holm` is corrected for the number of metrics that were tested.
        detectable: the true difference that would be found with probability 0.8.
        test: "paired prompts" by bootstrap; "intervals" of both runs taken as independent, which is
            conservative where images share prompts; "none" where neither can be.
        num_prompts: behind a paired test.
    """

    id: str
    direction: Direction
    first: float
    second: float
    test: Test = "none"
    ci95: tuple[float, float] | None = None
    p: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    num_prompts: int | None = None

    @property
    def difference(self) -> float:
        return self.second - self.first

    @property
    def verdict(self) -> str:
        """Of the second run."""
        if self.p_holm is None:
            return "not tested"
        if self.p_holm >= _SIGNIFICANT:
            return "no difference shown"
        return "better" if (self.difference > 0) == (self.direction == "higher") else "worse"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs, metric by metric.

    Args:
        left_out: metrics of one run alone, and of which.
        prompts: sha256 of every prompt set that both have.
        settings: those that differ.
    """

    first: str
    second: str
    metrics: tuple[MetricDifference, ...]
    left_out: tuple[str, ...]
    prompts: dict[str, str]
    settings: dict[str, tuple[Any, Any]]
    num_resamples: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        fields["metrics"] = [
            {**asdict(one), "difference": one.difference, "verdict": one.verdict} for one in self.metrics
        ]
        return {"schema_version": 1, **fields}


def compare_runs(
    first: str | Path,
    second: str | Path,
    *,
    only: Sequence[str] = (),
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two directories with results; refused where they did not measure the same thing.

    Args:
        only: metric ids, or their beginnings, of which those are compared that both runs have; otherwise
            both must have the same metrics.
    """
    if num_resamples < 100:
        raise ValueError(f"intervals need at least 100 resamples, got {num_resamples}")
    a, b = EvaluatedRun.load(first), EvaluatedRun.load(second)
    if a.name == b.name:
        a, b = replace(a, name=str(first)), replace(b, name=str(second))
    pairs, left_out = common_metrics(a, b, only)
    refuse_other_inputs(a, b, partly=bool(only))
    columns = columns_of(a), columns_of(b)
    found = []
    for pair in pairs:
        tallies = None if pair[0].direction == "none" else paired_tallies(pair, columns)
        paired = tallies and paired_difference(*tallies, num_resamples=num_resamples, seed=seed)
        # no or few prompts that differ say nothing of how much prompts vary
        is_paired = paired and paired.num_prompts >= _FEWEST_PROMPTS and paired.standard_error > 0
        if not is_paired:
            _refuse_other_numbers(*pair)
        found.append(_by_prompts(*pair, paired) if paired and is_paired else _by_intervals(*pair))
    tested = [one for one in found if one.p is not None]
    corrected = iter(holm([one.p for one in tested if one.p is not None]))
    return Comparison(
        first=a.name,
        second=b.name,
        metrics=tuple(one if one.p is None else replace(one, p_holm=next(corrected)) for one in found),
        left_out=tuple(left_out),
        prompts={name: a.prompts_sha256(name) for name in a.prompts if name in b.prompts},
        settings=differing_settings(a, b),
        num_resamples=num_resamples,
        seed=seed,
    )


def _refuse_other_numbers(first: MetricValue, second: MetricValue) -> None:
    if first.direction != "none" and first.n != second.n:
        raise ValueError(
            f"{first.id} is of {first.n} items in one run and of {second.n} in the other; measure both "
            "on the same, or leave it out with --only"
        )


def _values(first: MetricValue, second: MetricValue) -> MetricDifference:
    return MetricDifference(id=first.id, direction=first.direction, first=first.value, second=second.value)


def _by_prompts(first: MetricValue, second: MetricValue, paired: Difference) -> MetricDifference:
    return replace(
        _values(first, second),
        test="paired prompts",
        ci95=(paired.estimate.low, paired.estimate.high),
        p=paired.p,
        detectable=minimum_detectable_difference(paired.standard_error, paired.degrees),
        num_prompts=paired.num_prompts,
    )


def _by_intervals(first: MetricValue, second: MetricValue) -> MetricDifference:
    """Without rows to pair: from the two intervals, if there are any and a direction to judge by."""
    values = _values(first, second)
    if first.direction == "none" or first.ci95 is None or second.ci95 is None:
        return values
    estimate = difference_of_estimates(
        Estimate(first.value, *first.ci95), Estimate(second.value, *second.ci95)
    )
    normal = float(stats.norm.ppf((1 + LEVEL) / 2))
    arm = estimate.value - estimate.low if estimate.value > 0 else estimate.high - estimate.value
    p = 2 * float(stats.norm.sf(abs(estimate.value) / arm * normal)) if arm > 0 else float(not estimate.value)
    return replace(
        values,
        test="intervals",
        ci95=(estimate.low, estimate.high),
        p=p,
        detectable=minimum_detectable_difference((estimate.high - estimate.low) / 2 / normal),
    )
