"""``python -m evaluation report``: one page about any number of evaluated runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from evaluation.image_folders import read_images, read_reconstructions
from evaluation.provenance import sha256_of_pixels
from evaluation.reports.compose import content_of
from evaluation.reports.grids import sample_grids
from evaluation.reports.history import load_histories
from evaluation.reports.runs import EvaluatedRun, load_runs
from evaluation.reports.tensorboard import write_tensorboard
from evaluation.reports.write import write_comparison, write_report
from evaluation.results import Result
from evaluation.runner.outcome import RECORD
from evaluation.shapeseval import ShapesEvalResult
from infinity.json_files import expecting

__all__ = ["add_report_arguments", "report_command"]

_NUM_PAIRS = 24


def add_report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="directories with result.json")
    parser.add_argument("--output", type=Path, required=True, help="where the report goes")
    parser.add_argument("--title")
    parser.add_argument("--images", type=Path, help="generated images, where a run's rows do not name them")
    parser.add_argument("--reconstructions", type=Path, help="pairs, for the reconstruction grid")
    parser.add_argument("--history", nargs="+", default=[], metavar="NAME=DIR", help="training logs by stage")
    parser.add_argument("--seed", type=int, default=0, help="of the random samples shown")
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="write TensorBoard summaries there too"
    )


def report_command(
    *,
    runs: Sequence[Path],
    output: Path,
    title: str | None = None,
    images: Path | None = None,
    reconstructions: Path | None = None,
    history: Mapping[str, Path] | None = None,
    seed: int = 0,
    tensorboard: Path | None = None,
) -> Path:
    """Write one report about evaluated runs: of one model that were measured apart, or of several to compare.

    Args:
        runs: directories with ``result.json``; those that share a metric id are compared.
        images: generated images, where the rows of a run do not name them.
        reconstructions: pairs, for the reconstruction grid.
        history: folders with training logs, by the name to put before their curves ("" for none).
        seed: of the random samples shown.
        tensorboard: folder of event files.
    """
    if output.resolve() in {run.resolve() for run in runs}:
        raise ValueError(f"{output} is one of the runs to report, and would lose its result; choose another")
    if (output / RECORD).is_file():
        raise ValueError(f"{output} holds another run, and would lose its result; choose another --output")
    loaded = load_runs(runs)
    is_one = len(loaded) == 1
    if is_one and (output / "result.json").is_file() and Result.load(output).name != loaded[0].result.name:
        raise ValueError(
            f"{output} holds the result of another run, which would be lost; choose another --output"
        )
    arms = _arms(loaded[0]) if is_one else {}
    content = content_of(
        loaded, title=title or "", arms=arms, history=load_histories(history or {}), seed=seed
    )
    if images is not None:
        if "samples" not in arms:
            raise ValueError("--images is for one run of ShapesEval, and there is none; leave it out")
        shown = sample_grids(arms["samples"], _as_scored(arms["samples"], images), seed=seed)
        content = replace(content, grids=(*shown, *content.grids))
    pairs = tuple((pair[0], pair[1]) for pair in _first_pairs(reconstructions))
    content = replace(content, reconstructions=pairs)
    results = {run.name: run.result for run in loaded}
    if is_one:
        page = write_report(output, loaded[0].result, content)
    else:
        page = write_comparison(output, results, content)
    if tensorboard is not None:
        write_tensorboard(tensorboard, results, content)
    return page


def _arms(run: EvaluatedRun) -> dict[str, ShapesEvalResult]:
    with expecting("list of images that ShapesEval judged", run.folders[0] / "samples.jsonl"):
        return ShapesEvalResult.from_rows(row for rows in run.rows for row in rows if "arm" in row)


def _first_pairs(folder: Path | None) -> Iterable[np.ndarray]:
    return islice(read_reconstructions(folder), _NUM_PAIRS) if folder else ()


def _as_scored(result: ShapesEvalResult, folder: Path) -> dict[str, list[np.ndarray]]:
    """The images that were scored, found in a folder by the hash of their pixels."""
    found = {sha256_of_pixels(image): image for image in read_images(folder)}
    images: dict[str, list[np.ndarray]] = {}
    for one in result.images:
        if one.sha256 not in found:
            raise ValueError(
                f"{folder} does not hold image {one.index} of prompt {one.prompt.id} as it was scored; "
                "name the folder that was evaluated"
            )
        images.setdefault(one.prompt.id, []).append(found[one.sha256])
    return images
