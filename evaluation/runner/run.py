"""From tasks to one result: select, draw, score; or score alone what another environment drew."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from evaluation.progress import Report, silent
from evaluation.provenance import Provenance, collect_provenance, merge_provenance
from evaluation.runner.generation import Drawing, DrawnSet
from evaluation.runner.inputs import data_fingerprint
from evaluation.runner.outcome import RECORD, Outcome, collect_outcome, read_record
from evaluation.runner.prompt_files import wanted_prompts, write_prompts
from evaluation.runner.ranks import Ranks, one_process
from evaluation.runner.scoring import image_folder, score_tasks
from evaluation.runner.selection import Selection, select_tasks
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFinder
from infinity.atomic import write_atomically
from infinity.configs import config_to_dict
from infinity.devices import check_device
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter

__all__ = ["RunnerOptions", "default_cache", "evaluate", "score", "select"]

_DRAWN_BY = ("model_sha256", "tokenizer", "text_encoder", "dtype", "sampling", "seed", "rewriter")


def default_cache() -> Path:
    """Where statistics of references are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "infinity" / "statistics"


@dataclass(frozen=True, kw_only=True)
class RunnerOptions:
    """What to measure; see :class:`evaluation.tasks.api.EvalContext` for most of it.

    Args:
        tasks: names in the registry.
        output: folder of images, scores and result.
        sampling: settings of the pipeline's calls, but for the aspect ratio; None for the model's own.
        skip_missing: leave out tasks whose weights, data or packages are missing.
        rescore: score tasks, too, whose earlier score follows from the very same.
    """

    tasks: Sequence[str]
    output: Path
    data: Path | None = None
    weights: Mapping[str, Path] = field(default_factory=dict)
    cache: Path | None = None
    limit: int | None = None
    images_per_prompt: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    batch_size: int = 32
    device: str = "cpu"
    skip_missing: bool = False
    rescore: bool = False

    def __post_init__(self) -> None:
        for name in ("limit", "images_per_prompt", "batch_size"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
        if self.data is not None and not self.data.is_dir():
            raise ValueError(f"--data {self.data}: there is no such folder; make it with `make data`")
        check_device(self.device)

    def context(self, pipeline: InfinityPipeline | None = None) -> EvalContext:
        """What tasks are given."""
        return EvalContext(
            weights=WeightFinder(self.weights),
            pipeline=pipeline,
            data=self.data,
            cache=self.cache,
            limit=self.limit,
            images_per_prompt=self.images_per_prompt,
            sampling=self.sampling,
            device=self.device,
            batch_size=self.batch_size,
            seed=self.seed,
        )


def select(options: RunnerOptions, *, with_model: bool) -> Selection:
    """The tasks that can be done; quick, to be called before a model is loaded."""
    return select_tasks(
        options.tasks, options.context(), with_model=with_model, skip_missing=options.skip_missing
    )


def evaluate(
    pipeline: InfinityPipeline,
    selection: Selection,
    options: RunnerOptions,
    *,
    origin: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    checkpoints: Mapping[str, str | Path] | None = None,
    rewriter: CachedRewriter | None = None,
    ranks: Ranks = Ranks(),
    progress: Report = silent,
) -> Outcome | None:
    """Draw and score; the outcome on the first rank, None on others.

    Args:
        origin: JSON values that name the model, see :class:`Drawing`.
        config: what else a reader must know to repeat the run.
        checkpoints: files of the model, whose hashes are recorded.
    """
    record = _record(pipeline, selection, options, origin, config, checkpoints, rewriter)
    if before := _drawn_before(options.output, record):
        record["prompt_sets"] = before["prompt_sets"]
        parts = [Provenance(**one["provenance"]) for one in (before, record)]
        record["provenance"] = asdict(merge_provenance(parts))
    context = options.context(pipeline)
    drawing = Drawing(
        pipeline=pipeline,
        origin=origin,
        sampling=options.sampling,
        seed=options.seed,
        batch_size=options.batch_size,
        rewriter=rewriter,
        ranks=ranks,
    )
    wanted = {name: wanted_prompts(name, context) for name in selection.prompt_sets}
    if ranks.is_first:
        _write_record(options.output, record)
    drawn: dict[str, DrawnSet] = {}
    for name, prompts in wanted.items():
        folder = image_folder(options.output, name)
        drawn[name] = drawing(prompts, folder, progress)
        if ranks.is_first:
            write_prompts(folder, prompts)
    if not ranks.is_first:
        return None
    for name, one in drawn.items():
        record["prompt_sets"][name] = _counts(one, record["prompt_sets"].get(name))
    if before and not any(one.num_drawn for one in drawn.values()):
        record["provenance"] = before["provenance"]  # of the images that are there
    _write_record(options.output, record)
    with one_process():
        scored = score_tasks(
            selection.tasks,
            options.output,
            context,
            record,
            check=False,
            rescore=options.rescore,
            progress=progress,
        )
    return collect_outcome(options.output, scored)


def score(options: RunnerOptions, progress: Report = silent) -> Outcome:
    """Score recorded images without their model; the same scores as in one go.

    The number of prompts and the seed are the drawing's.
    """
    record = read_record(options.output)
    selection = select(options, with_model=False)
    context = EvalContext(
        weights=WeightFinder(options.weights),
        data=options.data,
        cache=options.cache,
        limit=record["limit"],
        images_per_prompt=record["images_per_prompt"],
        device=options.device,
        batch_size=options.batch_size,
        seed=record["seed"],
    )
    scored = score_tasks(
        selection.tasks,
        options.output,
        context,
        record,
        check=True,
        rescore=options.rescore,
        progress=progress,
    )
    done = {one.name for one in selection.tasks}
    skipped = {name: reason for name, reason in record["skipped"].items() if name not in done}
    record["skipped"] = {**skipped, **selection.skipped}
    _write_record(options.output, record)
    return collect_outcome(options.output, scored)


def _record(
    pipeline: InfinityPipeline,
    selection: Selection,
    options: RunnerOptions,
    origin: Mapping[str, Any],
    config: Mapping[str, Any] | None,
    checkpoints: Mapping[str, str | Path] | None,
    rewriter: CachedRewriter | None,
) -> dict[str, Any]:
    settings = pipeline.settings(**options.sampling).record()
    settings.pop("aspect_ratio")  # the prompts' own
    drawing = {
        "tasks": [one.name for one in selection.tasks],
        "limit": options.limit,
        "images_per_prompt": options.images_per_prompt,
        "batch_size": options.batch_size,
        "sampling": settings,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "text_encoder": pipeline.text_encoder.fingerprint,
        "text": config_to_dict(pipeline.text),
        "tokenizer": pipeline.vae_sha256,
        "resolution": config_to_dict(pipeline.resolution),
        "step": pipeline.extra.get("step"),  # of training, if its export said so
        "rewriter": None if rewriter is None else rewriter.fingerprint,
        **(config or {}),
    }
    data = data_fingerprint(options.data)
    provenance = collect_provenance(seeds={"sampling": options.seed}, checkpoints=checkpoints, data=data)
    record = {
        "origin": dict(origin),
        "limit": options.limit,
        "images_per_prompt": options.images_per_prompt,
        "seed": options.seed,
        "data": data,
        "skipped": selection.skipped,
        "prompt_sets": {},
        "config": drawing,
        "provenance": asdict(provenance),
    }
    return json.loads(json.dumps(record))  # as it is read back


def _drawn_before(output: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of images that are there, which must have been drawn alike; empty if there are none."""
    if not (output / RECORD).is_file():
        return {}
    before = read_record(output)
    here, there = ({"seed": one["seed"], **one["config"], **one["origin"]} for one in (record, before))
    if other := [name for name in _DRAWN_BY if there.get(name) != here.get(name)]:
        raise ValueError(
            f"{output} holds images of another model or other settings ({', '.join(other)}); choose another "
            "--output"
        )
    return before


def _counts(drawn: DrawnSet, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """For the record; times are those of `before` where all images were there."""
    times = {} if drawn.num_drawn or before is None else {k: before[k] for k in ("num_drawn", "seconds")}
    return {**asdict(drawn), **times}


def _write_record(output: Path, record: Mapping[str, Any]) -> None:
    write_atomically(output / RECORD, json.dumps(record, indent=2) + "\n")
