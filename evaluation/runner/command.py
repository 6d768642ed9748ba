"""``python -m evaluation {run,score,list}``."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from evaluation.commands import run_command as run_on_shapesworld
from evaluation.model_report import RunOptions
from evaluation.progress import progress_bars, silent
from evaluation.reports import EvaluatedRun, content_of, load_histories, write_report
from evaluation.results import write_samples
from evaluation.runner.listing import list_tasks
from evaluation.runner.outcome import Outcome
from evaluation.runner.ranks import Ranks
from evaluation.runner.run import RunnerOptions, default_cache, evaluate, score, select
from evaluation.tasks.registry import TASKS
from evaluation.weights import WeightFinder
from infinity.command_options import (
    add_model_options,
    add_rewriter_options,
    add_sampling_options,
    load_pipeline,
    load_rewriter,
    model_record,
    sampling_arguments,
)
from infinity.hub import model_directory
from infinity.pipeline import InfinityPipeline

__all__ = ["add_list_arguments", "add_run_arguments", "add_score_arguments", "list_command"]
__all__ += ["run_command", "score_command"]

_ONLY_WITH_TASKS = (
    *("weights", "cache", "limit", "skip_missing", "rescore", "rewriter", "rewrite_cache"),
    *("top_p", "negative_prompt"),
)
_ONLY_WITHOUT_TASKS = ("num_reconstructions", "splits", "inception")


class _ListAction(argparse.Action):
    """``--list``: print the tasks and leave, as ``--help`` does."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        sys.stdout.write(list_command(weights=namespace.weights) + "\n")
        parser.exit()


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_options(parser)
    parser.add_argument("--list", action=_ListAction, nargs=0, help="show the tasks, and leave")
    parser.add_argument(
        "--tasks",
        metavar="A,B",
        help="what to measure, see --list, or all (default: ShapesWorld, with its baselines)",
    )
    parser.add_argument("--data", type=Path, help="data directory with references or prompts")
    parser.add_argument("--output", type=Path, required=True, help="where images, scores and report go")
    parser.add_argument("--images-per-prompt", type=int, help="default: the benchmark's own; ShapesWorld: 2")
    parser.add_argument("--history", nargs="+", default=[], metavar="NAME=DIR", help="training logs by stage")
    parser.add_argument("--title", default="", help="of the report")
    add_sampling_options(parser)
    with_tasks = parser.add_argument_group("with --tasks")
    _add_scoring_options(with_tasks)
    with_tasks.add_argument("--limit", type=int, metavar="N", help="only the first N prompts or references")
    add_rewriter_options(with_tasks, cache="rewritten_prompts.jsonl in the output folder")
    without = parser.add_argument_group("without --tasks")
    without.add_argument("--num-reconstructions", type=int, help="held-out images (default: 500)")
    without.add_argument("--splits", nargs="+", help="prompts to score (default: id ood)")
    without.add_argument("--inception", type=Path, help="torch-fidelity's Inception weights; else a stand-in")


def add_score_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", type=Path, metavar="RUN", help="output folder of a run with --tasks")
    parser.add_argument("--tasks", metavar="A,B", required=True, help="what to measure, see `list`")
    parser.add_argument("--data", type=Path, help="data directory with references")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--batch-size", type=int, default=32, help="images scored at once (default: 32)")
    parser.add_argument("--title", default="", help="of the report")
    _add_scoring_options(parser)


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    _add_weights(parser)


def _add_scoring_options(parser: Any) -> None:
    _add_weights(parser)
    parser.add_argument(
        "--skip-missing",
        action="store_true",
        help="leave out tasks whose weights, data or packages are missing, and say so",
    )
    parser.add_argument(
        "--rescore",
        action="store_true",
        help="score again, too, what was scored before from the same images, references, weights and code",
    )
    parser.add_argument(
        "--cache",
        type=Path,
        help="statistics of references (default: ~/.cache/infinity/statistics)",
    )


def _add_weights(parser: Any) -> None:
    parser.add_argument(
        "--weights", nargs="+", default=[], metavar="NAME=PATH", help="files that scorers need, see `list`"
    )


def list_command(*, weights: Sequence[str] = ()) -> str:
    """Every task with its metrics and the weights that it needs."""
    return list_tasks(WeightFinder(_paths(weights)))


def run_command(*, load: Callable[[Any], InfinityPipeline] = load_pipeline, **options: Any) -> Path | str:
    """Draw and score what ``--tasks`` names; without it, measure a model on ShapesWorld as the demo does.

    Args:
        load: gives the model that the options name.
    """
    if options["tasks"] is None:
        return _run_without_tasks(options, load)
    _refuse(options, _ONLY_WITHOUT_TASKS, "has no effect with --tasks")
    words = argparse.Namespace(**options)
    ranks = Ranks.from_environment()
    words.device = ranks.device(words.device)
    runner = RunnerOptions(
        limit=words.limit,
        images_per_prompt=words.images_per_prompt,
        sampling=sampling_arguments(words),
        seed=words.seed,
        **_common(words),
    )
    selection = select(runner, with_model=True)
    history = load_histories(words.history)
    pipeline = load(words)
    words.rewrite_cache = _rewrite_cache(words, ranks)
    rewriter = load_rewriter(words)
    directory = model_directory(words.model)
    files = {part: directory / part / "model.safetensors" for part in ("vae", "transformer")}
    with progress_bars() as progress:
        outcome = evaluate(
            pipeline,
            selection,
            runner,
            origin=model_record(words, pipeline),
            config={"model": str(words.model), "command": "run"},
            checkpoints={part: file if file.is_file() else file.parent for part, file in files.items()},
            rewriter=rewriter,
            ranks=ranks,
            progress=progress if ranks.is_first else silent,
        )
    if outcome is None:
        return f"rank {ranks.rank} has drawn its share"
    return _write(words.output, outcome, words.title, history)


def score_command(**options: Any) -> str:
    """Score the images of a run in this environment, without its model."""
    words = argparse.Namespace(**options)
    with progress_bars() as progress:
        outcome = score(RunnerOptions(**_common(words)), progress)
    return _write(words.output, outcome, words.title, {})


def _rewrite_cache(words: argparse.Namespace, ranks: Ranks) -> Path | None:
    """The file that remembers rewritten prompts; ranks but the first go on with a copy of their own."""
    if words.rewriter is None:
        return words.rewrite_cache
    shared = words.rewrite_cache or words.output / "rewritten_prompts.jsonl"
    own = ranks.own(shared)
    if shared.is_file() and not own.is_file():
        shutil.copyfile(shared, own)
    return own


def _common(words: argparse.Namespace) -> dict[str, Any]:
    return {
        "tasks": [name.strip() for name in words.tasks.split(",") if name.strip()],
        "output": words.output,
        "data": words.data,
        "weights": _paths(words.weights),
        "cache": words.cache or default_cache(),
        "batch_size": words.batch_size,
        "device": words.device,
        "skip_missing": words.skip_missing,
        "rescore": words.rescore,
    }


def _write(output: Path, outcome: Outcome, title: str, history: Mapping[str, Any]) -> str:
    """The report, and what to print: its path, every caveat, how many images."""
    run = EvaluatedRun(
        name=outcome.result.name, result=outcome.result, folders=(output,), rows=(outcome.rows,)
    )
    content = content_of([run], title=title or f"Evaluation {run.name}", history=history)
    page = write_report(output, outcome.result, content)
    write_samples(output, outcome.rows)
    counts = f"{len(outcome.rows)} images, 0 failed, {outcome.num_truncated} from prompts that were cut"
    lines = [counts, *outcome.caveats]
    if outcome.kept:
        lines.append(f"Not scored again, as nothing has changed: {', '.join(outcome.kept)} (see --rescore)")
    for name, (first, *others) in outcome.by_task.items():
        more = f" (and {len(others)} more in the report)" if others else ""
        lines.append(f"{name}: {first.id} = {first.value:.6g}{more}")
    if outcome.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in outcome.failed.items())
        raise ValueError(f"{len(outcome.failed)} tasks failed ({reasons}); the others are in {page}")
    return "\n".join([*lines, str(page)])


def _run_without_tasks(options: Mapping[str, Any], load: Callable[[Any], InfinityPipeline]) -> Path:
    _refuse(options, _ONLY_WITH_TASKS, "needs --tasks")
    if Ranks.from_environment().world_size > 1:
        raise ValueError("several processes can draw for --tasks alone; name some, or start one process")
    if options["data"] is None:
        raise ValueError("--data is needed without --tasks: name a ShapesWorld data directory")
    names = {field.name for field in fields(RunOptions)} & options.keys()
    given = {name: options[name] for name in names if options[name] is not None}
    return run_on_shapesworld(load=load, **given | {"model": Path(options["model"])})


def _refuse(options: Mapping[str, Any], names: Sequence[str], why: str) -> None:
    if given := [name for name in names if options[name] not in (None, False, [])]:
        raise ValueError(f"--{given[0].replace('_', '-')} {why}; leave it out")


def _paths(words: Sequence[str]) -> dict[str, Path]:
    pairs = [word.partition("=") for word in words]
    if bad := [name for name, _, path in pairs if not name or not path]:
        raise ValueError(f"--weights takes NAME=PATH, got {bad[0]!r}; `list` shows the names")
    known = {weight.name for entry in TASKS.values() for weight in entry.weights}
    for name, _, _ in pairs:
        if name not in known and not name.endswith("-statistics"):
            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]}?" if close else "`list` shows the names"
            raise ValueError(f"--weights {name}: no task has weights of that name; {hint}")
    return {name: Path(path) for name, _, path in pairs}
