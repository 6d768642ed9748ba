"""One result of all scores of a run, with their provenance, caveats, times, and a row per image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.provenance import Provenance, merge_provenance
from evaluation.results import MetricValue, Result, Table
from evaluation.runner.inputs import basis_of
from evaluation.runner.manifest import load_samples
from evaluation.runner.prompt_files import read_prompts
from evaluation.runner.scoring import RecordedScore, Scored, image_folder, read_scores
from evaluation.tasks.api import EvalSample
from infinity.json_files import read_json

__all__ = ["RECORD", "Outcome", "collect_outcome", "read_record"]

RECORD = "drawing.json"
_FIELDS = {"origin", "limit", "images_per_prompt", "seed", "data", "skipped", "prompt_sets", "config"}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run found.

    Args:
        rows: one per image, for ``samples.jsonl``: ``tasks`` holds the verdicts, by task.
        by_task: the metrics again.
        samples: by prompt set.
        num_truncated: images whose prompt was longer than the text encoder takes.
        failed: what is wrong with tasks that could not be scored, by name.
        kept: tasks whose earlier scores still hold.
    """

    result: Result
    rows: tuple[Mapping[str, Any], ...]
    caveats: tuple[str, ...]
    by_task: Mapping[str, Sequence[MetricValue]]
    samples: Mapping[str, Sequence[EvalSample]]
    num_truncated: int
    failed: Mapping[str, str]
    kept: tuple[str, ...]


def read_record(output: Path) -> dict[str, Any]:
    """What a run has written about its drawing."""
    if not (output / RECORD).is_file():
        raise ValueError(f"no {RECORD} in {output}; draw with `python -m evaluation run --tasks` first")
    record = read_json(output / RECORD)
    if not isinstance(record, dict) or not record.keys() >= _FIELDS:
        raise ValueError(f"{output / RECORD} is no record of a drawing; draw again into another --output")
    return record


def collect_outcome(output: Path, scored: Scored) -> Outcome:
    """Put together the scores that are of the run's images; those of other images are left out and named."""
    record = read_record(output)
    everything = read_scores(output)
    sets = dict.fromkeys([*record["prompt_sets"], *(one.prompt_set for one in everything if one.prompt_set)])
    samples = {name: load_samples(folder, read_prompts(folder)) for name, folder in _folders(output, sets)}
    scores, stale = [], []
    for one in everything:
        current = one.basis == basis_of(samples.get(one.prompt_set or "", ()), record)
        (scores if current else stale).append(one)
    caveats = [f"Task {name} was left out: {reason}." for name, reason in record["skipped"].items()]
    caveats += [f"Task {name} failed: {reason}." for name, reason in scored.failed.items()]
    caveats += [f"Task {one.task} was left out: it was scored on other images." for one in stale]
    caveats += _counts(record)
    caveats += dict.fromkeys(caveat for one in scores for caveat in one.score.caveats)
    result = Result(
        name="/".join(output.resolve().parts[-2:]),
        metrics=_metrics(scores),
        provenance=merge_provenance(
            [Provenance(**record["provenance"]), *(one.provenance for one in scores)]
        ),
        config={**record["config"], "caveats": caveats, "failed_images": 0},
        tables=_tables(record, scores, samples),
    )
    rows = [row for name, group in samples.items() for row in _rows(name, group, scores, output)]
    return Outcome(
        result=result,
        rows=tuple(rows),
        caveats=tuple(caveats),
        by_task={one.task: one.score.metrics for one in scores},
        samples=samples,
        num_truncated=sum(drawn["num_truncated"] for drawn in record["prompt_sets"].values()),
        failed=scored.failed,
        kept=scored.kept,
    )


def _folders(output: Path, sets: Mapping[str, Any]) -> list[tuple[str, Path]]:
    return [(name, image_folder(output, name)) for name in sets]


def _counts(record: Mapping[str, Any]) -> list[str]:
    untrained = [
        f"Images of {name} have aspect ratios that the model was not trained on: "
        f"{', '.join(map(str, drawn['untrained_ratios']))}."
        for name, drawn in record["prompt_sets"].items()
        if drawn["untrained_ratios"]
    ]
    return untrained + [
        f"{drawn['num_truncated']} of {drawn['num_images']} images of {name} were drawn from prompts that "
        "are longer than the text encoder takes."
        for name, drawn in record["prompt_sets"].items()
        if drawn["num_truncated"]
    ]


def _metrics(scores: Sequence[RecordedScore]) -> tuple[MetricValue, ...]:
    """All metrics; of one that two tasks measured, which may differ by roundings, the later task's."""
    return tuple({metric.id: metric for one in scores for metric in one.score.metrics}.values())


def _tables(
    record: Mapping[str, Any],
    scores: Sequence[RecordedScore],
    samples: Mapping[str, Sequence[EvalSample]],
) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for one in scores:
        for name, table in one.score.tables.items():
            tables[f"{one.task}: {name}" if name in tables else name] = table
    times = [
        (f"draw {name}", drawn["seconds"], drawn["num_drawn"])
        for name, drawn in record["prompt_sets"].items()
    ]
    times += [
        (f"score {one.task}", one.seconds, len(samples.get(one.prompt_set or "", ()))) for one in scores
    ]
    tables["Wall time"] = Table(columns=("stage", "seconds", "images"), rows=tuple(times))
    return tables


def _rows(
    prompt_set: str, samples: Sequence[EvalSample], scores: Sequence[RecordedScore], output: Path
) -> list[dict[str, Any]]:
    verdicts: dict[tuple[str, int], dict[str, Any]] = defaultdict(dict)
    for one in scores:
        for row in one.score.rows if one.prompt_set == prompt_set else ():
            found = {name: value for name, value in row.items() if name not in ("prompt_id", "index")}
            verdicts[row["prompt_id"], row["index"]][one.task] = found
    return [
        {
            "prompt_set": prompt_set,
            "prompt_id": one.prompt.id,
            "index": one.index,
            "prompt": one.prompt.text,
            "aspect_ratio": one.prompt.aspect_ratio,
            "metadata": one.prompt.metadata,
            "rewritten": one.rewritten,
            "seed": one.seed,
            "file": one.path.relative_to(output).as_posix(),
            "sha256": one.sha256,
            "tasks": verdicts[one.prompt.id, one.index],
        }
        for one in samples
    ]
