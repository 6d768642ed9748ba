"""Score what was drawn, task by task; every score is a file of its own, so that none is lost."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from evaluation.progress import Report, silent
from evaluation.provenance import Provenance, collect_provenance
from evaluation.results import MetricValue, Table
from evaluation.runner.inputs import basis_of, data_fingerprint, data_state, inputs_of
from evaluation.runner.manifest import load_samples
from evaluation.runner.prompt_files import read_prompts
from evaluation.runner.selection import SelectedTask
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tasks.registry import TASKS
from infinity.atomic import write_atomically
from infinity.json_files import expecting, read_json

__all__ = ["RecordedScore", "Scored", "image_folder", "read_scores", "score_tasks"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RecordedScore:
    """A task's score, and what it is a score of.

    Args:
        basis: hash of the images and prompts, or of the model's record where no image is drawn.
        inputs: hash of all that it follows from.
    """

    task: str
    prompt_set: str | None
    basis: str
    seconds: float
    score: TaskScore
    provenance: Provenance
    inputs: str = ""


class Scored(NamedTuple):
    """What became of tasks: reasons of those that failed, and names of those whose scores were up to date."""

    failed: dict[str, str]
    kept: tuple[str, ...]


def image_folder(output: Path, prompt_set: str) -> Path:
    """Where the images of a prompt set are."""
    return output / "images" / prompt_set


def score_tasks(
    tasks: Sequence[SelectedTask],
    output: Path,
    context: EvalContext,
    record: Mapping[str, Any],
    *,
    check: bool,
    rescore: bool = False,
    progress: Report = silent,
) -> Scored:
    """Score every task and write ``scores/<task>.json``.

    Args:
        record: of the drawing, as in ``drawing.json``.
        check: whether image files hold what was drawn.
        rescore: tasks too of which there is a score that follows from the very same.
    """
    failed: dict[str, str] = {}
    kept: list[str] = []
    samples: dict[str | None, list[EvalSample]] = {None: []}
    for prompt_set in {one.task.prompt_set: None for one in tasks if one.task.prompt_set is not None}:
        folder = image_folder(output, prompt_set)
        samples[prompt_set] = load_samples(folder, read_prompts(folder), check=check)
    data, state = data_fingerprint(context.data), data_state(context.data)
    for done, one in enumerate(tasks):
        progress("score", done, len(tasks))
        prompt_set = one.task.prompt_set
        path = output / "scores" / f"{one.name}.json"  # an earlier one stays until there is a new one
        try:
            files = {weight.name: context.weights.require(weight) for weight in one.entry.weights}
            provenance = collect_provenance(checkpoints=files, data=data)
            inputs = inputs_of(one, samples[prompt_set], context, record, provenance, state)
            if not rescore and _is_current(path, inputs):
                kept.append(one.name)
            else:
                recorded = _score(one, samples[prompt_set], context, record, provenance, inputs)
                write_atomically(path, json.dumps(asdict(recorded), allow_nan=False) + "\n")
        # the other tasks' scores are worth having, whatever is wrong with one
        except (ImportError, OSError, RuntimeError, ValueError) as error:
            failed[one.name] = str(error)
        except Exception as error:
            logger.exception("task %s failed", one.name)
            failed[one.name] = f"{type(error).__name__}: {error}"
    progress("score", len(tasks), len(tasks))
    return Scored(failed, tuple(kept))


def _score(
    one: SelectedTask,
    samples: Sequence[EvalSample],
    context: EvalContext,
    record: Mapping[str, Any],
    provenance: Provenance,
    inputs: str,
) -> RecordedScore:
    start = time.monotonic()
    score = one.task.score(samples, context)
    _check(score, samples)
    return RecordedScore(
        task=one.name,
        prompt_set=one.task.prompt_set,
        basis=basis_of(samples, record),
        seconds=time.monotonic() - start,
        score=score,
        provenance=provenance,
        inputs=inputs,
    )


def _is_current(path: Path, inputs: str) -> bool:
    try:
        return _read_score(path).inputs == inputs
    except (OSError, ValueError):  # there is none, or it is damaged
        return False


def read_scores(output: Path) -> list[RecordedScore]:
    """All scores of a run, in the order of the registry."""
    paths = {path.stem: path for path in sorted((output / "scores").glob("*.json"))}
    order = [*(name for name in TASKS if name in paths), *(name for name in paths if name not in TASKS)]
    return [_read_score(paths[name]) for name in order]


def _read_score(path: Path) -> RecordedScore:
    with expecting("score of a task", path):
        return _from_dict(read_json(path))


def _from_dict(fields: Mapping[str, Any]) -> RecordedScore:
    score = fields["score"]
    restored = TaskScore(
        metrics=tuple(MetricValue(**metric) for metric in score["metrics"]),
        rows=tuple(score["rows"]),
        tables={name: Table(**table) for name, table in score["tables"].items()},
        caveats=tuple(score["caveats"]),
    )
    fields = {**fields, "score": restored, "provenance": Provenance(**fields["provenance"])}
    return RecordedScore(**fields)


def _check(score: TaskScore, samples: Sequence[EvalSample]) -> None:
    """A number that is none, or a verdict on no image, fails the run."""
    if not score.metrics:
        raise ValueError("it gave no number; leave the task out")
    if bad := [metric.id for metric in score.metrics if not math.isfinite(metric.value)]:
        raise ValueError(f"it gave no finite value for {', '.join(bad)}; leave the task out")
    known = {(one.prompt.id, one.index) for one in samples}
    judged = {(row["prompt_id"], row["index"]) for row in score.rows if samples}
    if samples and score.rows and judged != known:
        lost, foreign = len(known - judged), len(judged - known)
        raise ValueError(f"it did not judge every image: {lost} are missing and {foreign} are foreign")
