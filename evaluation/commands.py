"""The commands behind ``python -m evaluation``: each reads folders and writes a report directory."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.bench.command import bench_command
from evaluation.bench.parts import PARTS
from evaluation.features import build_extractor
from evaluation.image_folders import read_generated, read_reconstructions
from evaluation.metrics.bits import BitCounts
from evaluation.model_report import RunOptions, run_model
from evaluation.progress import progress_bars
from evaluation.provenance import collect_provenance, sha256_of
from evaluation.reconstruction import ReconstructionScores, batches_by_size
from evaluation.reports import ReportContent, sample_grids, write_report
from evaluation.results import Result
from evaluation.shapeseval import (
    Prompt,
    ShapesEvalResult,
    ground_truth_images,
    load_prompts,
    run_shapeseval,
    select_prompts,
    shuffled_prompts,
)
from infinity.command_options import load_pipeline
from infinity.json_files import read_json
from infinity.pipeline import InfinityPipeline

__all__ = ["add_bench_arguments", "add_reconstruction_arguments", "add_shapeseval_arguments"]
__all__ += ["bench_command", "reconstruction_command", "run_command", "shapeseval_command"]

_BATCH = 64
_NUM_PAIRS = 24


def add_shapeseval_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--world", type=Path, required=True, help="ShapesWorld data directory")
    parser.add_argument("--images", type=Path, required=True, help="folder with manifest.jsonl")
    parser.add_argument("--output", type=Path, required=True, help="where the report goes")
    parser.add_argument("--reconstructions", type=Path, help="of the ground truth, likewise")
    parser.add_argument(
        "--splits", nargs="+", default=["id", "ood"], help="prompts to score (default: id ood)"
    )
    parser.add_argument("--per-task", type=int, help="only the first so many prompts of every task and level")
    parser.add_argument("--lenient", action="store_true", help="allow extra objects, as GenEval does")
    parser.add_argument("--seed", type=int, default=0, help="of shuffled prompts and of random samples shown")


def add_reconstruction_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, required=True, help="folder with manifest.jsonl of pairs")
    parser.add_argument("--output", type=Path, required=True, help="where the report goes")
    parser.add_argument("--bits", type=Path, help=".npz with one bool array (N, D, h, w) per scale")
    parser.add_argument("--inception", type=Path, help="torch-fidelity's Inception weights; else a stand-in")


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    precisions = ["float32", "bfloat16"]
    parser.add_argument("--output", type=Path, default=Path("runs/bench"), help="default: runs/bench")
    parser.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4], help="default: 1 4")
    parser.add_argument("--precisions", nargs="+", default=precisions, choices=precisions)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds, of which the median counts")
    parser.add_argument("--device", default="cpu", help="default: cpu")
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile")
    parser.add_argument("--no-quantizers", dest="quantizers", action="store_false", help="leave those out")
    parser.add_argument("--official", type=Path, metavar="DIR", help="clone of the official code, to compare")


def run_command(*, load: Callable[[Any], InfinityPipeline] = load_pipeline, **options: Any) -> Path:
    """Measure a saved pipeline, with progress bars; the other options are those of :class:`RunOptions`."""
    with progress_bars() as progress:
        return run_model(RunOptions(**options), progress, load)


def shapeseval_command(
    *,
    world: Path,
    images: Path,
    output: Path,
    reconstructions: Path | None = None,
    splits: Sequence[str] = ("id", "ood"),
    per_task: int | None = None,
    lenient: bool = False,
    seed: int = 0,
) -> Path:
    """Score generated images and their baselines.

    Args:
        world: ShapesWorld data directory.
        images: folder with a manifest of generated images; those of other prompts than asked are left out.
        reconstructions: folder with a manifest of the ground truth's reconstructions, by prompt id too.
        lenient: GenEval's rule instead of the strict one.
        seed: of the shuffled prompts and of the random samples shown.
    """
    everything = load_prompts(world)
    prompts = select_prompts(everything, splits=splits, per_task=per_task)
    left_out = {prompt.id for prompt in everything} - {prompt.id for prompt in prompts}
    strict = not lenient

    def score(arm: str, drawn: Mapping[str, Sequence[np.ndarray]]) -> ShapesEvalResult:
        asked = {prompt_id: group for prompt_id, group in drawn.items() if prompt_id not in left_out}
        return run_shapeseval(world, asked, prompts=prompts, arm=arm, strict=strict)

    generated = read_generated(images, _ids_by_text(everything))
    arms = {"samples": score("samples", generated)}
    if reconstructions is not None:
        arms["reconstructions"] = score("reconstructions", read_generated(reconstructions))
    arms["ground truth"] = score("ground truth", ground_truth_images(world, prompts))
    arms["shuffled prompts"] = shuffled_prompts(arms["samples"], seed=seed)
    result = Result(
        name=images.name,
        metrics=tuple(metric for arm in arms.values() for metric in arm.metrics()),
        provenance=collect_provenance(seeds={"shuffled prompts": seed}, data=_data_hashes(world, images)),
        config={"splits": list(splits), "per_task": per_task, "lenient": lenient},
    )
    grids = sample_grids(arms["samples"], generated, seed=seed)
    content = ReportContent(title=f"ShapesEval of {images.name}", shapeseval=arms, grids=grids)
    return write_report(output, result, content)


def reconstruction_command(
    *, images: Path, output: Path, bits: Path | None = None, inception: Path | None = None
) -> Path:
    """Score pairs of originals and reconstructions.

    Args:
        images: folder with a manifest of pairs.
        bits: ``.npz`` with one bool array (N, D, h, w) per scale, in order of their names.
        inception: Inception weights for rFID; the stand-in otherwise.
    """
    scores = ReconstructionScores(build_extractor(inception), _NUM_PAIRS)
    pixels = sha256()
    for pairs_N2HW3 in batches_by_size(read_reconstructions(images), _BATCH):
        pixels.update(pairs_N2HW3.tobytes())
        scores.add(pairs_N2HW3[:, 0], pairs_N2HW3[:, 1])
    data = {"manifest": sha256_of(images / "manifest.jsonl"), "pixels of all pairs": pixels.hexdigest()}
    if bits is not None:
        scores.add_bits(_read_bits(bits))
        data["bits"] = sha256_of(bits)
    result = Result(
        name=images.name,
        metrics=tuple(scores.metrics()),
        provenance=collect_provenance(data=data),
        tables=scores.tables(),
    )
    content = ReportContent(title=f"Reconstruction: {images.name}", reconstructions=tuple(scores.shown))
    return write_report(output, result, content)


def _ids_by_text(prompts: Iterable[Prompt]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for prompt in prompts:
        ids.setdefault(prompt.text, []).append(prompt.id)
    return ids


def _data_hashes(world: Path, images: Path) -> dict[str, str]:
    hashes = {name: sha256_of(world / name) for name in ("world.json", "prompts.jsonl")}
    description = world / "dataset.json"
    if description.is_file():
        hashes["fingerprint"] = str(read_json(description).get("fingerprint", ""))
    return {**hashes, "manifest of the images": sha256_of(images / "manifest.jsonl")}


def _read_bits(path: Path) -> list[BitCounts]:
    """Counts per scale; one scale is in memory at a time."""
    if not path.is_file():
        raise ValueError(f"no bits at {path}; expected an .npz with one bool array (N, D, h, w) per scale")
    with np.load(path) as arrays:
        return [BitCounts.of(arrays[name]) for name in sorted(arrays.files)]
