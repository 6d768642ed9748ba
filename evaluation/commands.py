"""The commands behind ``python -m evaluation``: each reads folders and writes a report directory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress, TaskID

from evaluation.features import build_extractor
from evaluation.image_folders import read_generated, read_reconstructions
from evaluation.model_report import RunOptions, run_model
from evaluation.provenance import collect_provenance, sha256_of
from evaluation.reconstruction import bit_table, evaluate_reconstruction
from evaluation.reports import (
    Grid,
    ReportContent,
    load_history,
    reconstruction_pairs,
    sample_grids,
    write_report,
)
from evaluation.results import Result, merge_results, read_samples
from evaluation.shapeseval import (
    Prompt,
    ShapesEvalResult,
    ground_truth_images,
    load_prompts,
    run_shapeseval,
    select_prompts,
    shuffled_prompts,
)

__all__ = ["reconstruction_command", "report_command", "run_command", "shapeseval_command"]


def run_command(**options: Any) -> Path:
    """Measure a saved pipeline, with progress bars; the options are those of :class:`RunOptions`."""
    with Progress() as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        return run_model(RunOptions(**options), show)


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
        images: folder with a manifest of generated images.
        reconstructions: folder with a manifest of the ground truth's reconstructions, by prompt id too.
        lenient: GenEval's rule instead of the strict one.
        seed: of the shuffled prompts and of the random samples shown.
    """
    prompts = select_prompts(load_prompts(world), splits=splits, per_task=per_task)
    generated = read_generated(images, _ids_by_text(prompts))
    strict = not lenient
    arms = {"samples": run_shapeseval(world, generated, prompts=prompts, strict=strict)}
    if reconstructions is not None:
        decoded = read_generated(reconstructions)
        arms["reconstructions"] = run_shapeseval(
            world, decoded, prompts=prompts, arm="reconstructions", strict=strict
        )
    truth = ground_truth_images(world, prompts)
    arms["ground truth"] = run_shapeseval(world, truth, prompts=prompts, arm="ground truth", strict=strict)
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
    originals, decoded = read_reconstructions(images)
    per_scale = _load_bits(bits) if bits is not None else []
    result = Result(
        name=images.name,
        metrics=tuple(evaluate_reconstruction(originals, decoded, per_scale, build_extractor(inception))),
        provenance=collect_provenance(data={"manifest": sha256_of(images / "manifest.jsonl")}),
        tables={"bits_per_scale": bit_table(per_scale)} if per_scale else {},
    )
    pairs = reconstruction_pairs(originals, decoded, 24)
    content = ReportContent(title=f"Reconstruction: {images.name}", reconstructions=pairs)
    return write_report(output, result, content)


def report_command(
    *,
    runs: Sequence[Path],
    output: Path,
    title: str | None = None,
    images: Path | None = None,
    reconstructions: Path | None = None,
    history: Mapping[str, Path] | None = None,
    seed: int = 0,
) -> Path:
    """Write one report about one or more evaluated runs of a model.

    Args:
        runs: directories with ``result.json``.
        images: generated images, for sample grids.
        reconstructions: pairs, for the reconstruction grid.
        history: folders with training logs, by the name to put before their curves ("" for none).
        seed: of the random samples shown.
    """
    result = merge_results([Result.load(run) for run in runs])
    arms = ShapesEvalResult.from_rows(row for run in runs for row in read_samples(run))
    curves: dict[str, list[tuple[int, float]]] = {}
    for name, folder in (history or {}).items():
        curves |= load_history(folder, f"{name}/" if name else "")
    model = arms.get("samples")
    grids: Sequence[Grid] = ()
    if model and images:
        asked = _ids_by_text({image.prompt.id: image.prompt for image in model.images}.values())
        grids = sample_grids(model, read_generated(images, asked), seed=seed)
    pairs = reconstruction_pairs(*read_reconstructions(reconstructions)) if reconstructions else ()
    content = ReportContent(
        title=title or result.name,
        shapeseval=arms,
        history=curves,
        grids=grids,
        reconstructions=pairs,
    )
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
        hashes["fingerprint"] = str(json.loads(description.read_text()).get("fingerprint", ""))
    return {**hashes, "manifest of the images": sha256_of(images / "manifest.jsonl")}


def _load_bits(path: Path) -> list[np.ndarray]:
    if not path.is_file():
        raise ValueError(f"no bits at {path}; expected an .npz with one bool array (N, D, h, w) per scale")
    with np.load(path) as arrays:
        return [arrays[name] for name in sorted(arrays.files)]
