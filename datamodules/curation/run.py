"""Run a chain over one split, and write down what it kept and what it dropped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datamodules.curation.scores import ScoreFiles, Scores, score_missing
from datamodules.curation.sheets import step_sheet
from datamodules.curation.step import Scored, Step, Verdict
from datamodules.index import ShardIndex
from infinity.atomic import write_atomically

__all__ = ["CuratedSplit", "StepReport", "curate_split", "plan_split"]


class StepReport(NamedTuple):
    """What a step does to a split; what depends on scores that are still missing is None."""

    step: str
    bounds: str
    num_in: int
    num_scored: int  # now; the others are known from the index or from an earlier run
    num_dropped: int | None
    num_broken: int | None
    num_out: int | None
    settings: dict[str, Any]
    versions: dict[str, str]


class CuratedSplit(NamedTuple):
    """What a chain leaves of a split."""

    index: ShardIndex
    out: Path
    kept: np.ndarray | None  # numbers of the samples that stay; None if scores are missing
    reports: list[StepReport]


def curate_split(
    index: ShardIndex,
    steps: Sequence[Step],
    out: Path,
    others: Sequence[CuratedSplit],
    *,
    num_workers: int,
    progress: Callable[[str, int, int], None],
) -> CuratedSplit:
    """Run all steps, each on what the ones before it kept, and write ``dropped.jsonl`` and ``sheets/``.

    Args:
        others: the splits that are done; this one is to have nothing of theirs.
    """
    (out / "sheets").mkdir(parents=True, exist_ok=True)
    for sheet in (out / "sheets").glob("*.png"):  # of another chain, maybe
        sheet.unlink()
    alive: np.ndarray = np.arange(len(index))
    dropped: list[str] = []
    reports = []
    for place, step in enumerate(steps, 1):
        told = partial(_tell, progress, f"{out.name}: {place}. {step.name}", len(alive))
        scores = _known_scores(step, index, alive, out)
        missing = alive[~scores.known]
        told(len(alive) - len(missing))
        if len(missing):
            score_missing(step, index, missing, ScoreFiles(out / "scores", step, index), num_workers, told)
            scores = _known_scores(step, index, alive, out)
        readable = _readable(index, alive, scores)
        verdict = step.decide(readable, _others(step, others))
        dropped += _log(step, alive, scores, readable, verdict)
        if not verdict.keep.all():
            sheet = step_sheet(f"{place}. {step.name} ({out.name})", step, readable, verdict)
            write_atomically(out / "sheets" / f"{place:02d}_{step.name}.png", sheet)
        reports.append(_report(step, len(alive), len(missing), verdict))
        alive = readable.numbers[verdict.keep]
    write_atomically(out / "dropped.jsonl", "".join(dropped))
    return CuratedSplit(index, out, alive, reports)


def plan_split(
    index: ShardIndex, steps: Sequence[Step], out: Path, others: Sequence[CuratedSplit]
) -> CuratedSplit:
    """What :func:`curate_split` would do, as far as the scores there are tell; writes nothing."""
    alive: np.ndarray = np.arange(len(index))
    reports = []
    certain = True
    for step in steps:
        scores = _known_scores(step, index, alive, out)
        num_in, num_missing = len(alive), int((~scores.known).sum())
        certain = certain and not num_missing
        certain = certain and not (step.compares and any(other.kept is None for other in others))
        verdict = None
        if certain:
            readable = _readable(index, alive, scores)
            verdict = step.decide(readable, _others(step, others))
            alive = readable.numbers[verdict.keep]
        reports.append(_report(step, num_in, num_missing, verdict))
    return CuratedSplit(index, out, alive if certain else None, reports)


def _tell(progress: Callable[[str, int, int], None], what: str, total: int, done: int) -> None:
    progress(what, done, total)


def _known_scores(step: Step, index: ShardIndex, numbers: np.ndarray, out: Path) -> Scores:
    values = step.header_scores(index, numbers)
    if values is not None:
        return Scores(np.ones(len(numbers), bool), values, {})
    return ScoreFiles(out / "scores", step, index).load(numbers)


def _others(step: Step, others: Sequence[CuratedSplit]) -> list[Scored]:
    if not step.compares:
        return []
    return [
        Scored(other.index, other.kept, _known_scores(step, other.index, other.kept, other.out).values)
        for other in others
        if other.kept is not None
    ]


def _readable(index: ShardIndex, numbers: np.ndarray, scores: Scores) -> Scored:
    readable = np.ones(len(numbers), bool)
    readable[list(scores.causes)] = False
    return Scored(index, numbers[readable], scores.values[readable])


def _log(
    step: Step, numbers: np.ndarray, scores: Scores, readable: Scored, verdict: Verdict
) -> Iterator[str]:
    index = readable.index
    for place, cause in scores.causes.items():
        yield _line(index[int(numbers[place])].key, step, None, f"unreadable: {cause}")
    for place in np.flatnonzero(~verdict.keep).tolist():
        key = index[int(readable.numbers[place])].key
        yield _line(key, step, float(verdict.values[place]), verdict.reason(place))


def _line(key: str, step: Step, score: float | None, reason: str) -> str:
    facts = {"key": key, "step": step.name, "score": score, "reason": reason}
    return json.dumps(facts, ensure_ascii=False) + "\n"


def _report(step: Step, num_in: int, num_scored: int, verdict: Verdict | None) -> StepReport:
    dropped = broken = num_out = None
    if verdict is not None:
        num_out = int(verdict.keep.sum())
        dropped, broken = len(verdict.keep) - num_out, num_in - len(verdict.keep)
    settings, versions = step.settings(), step.versions
    return StepReport(
        step.name, step.bounds, num_in, num_scored, dropped, broken, num_out, settings, versions
    )
