"""From a saved pipeline to a report: measure it, then write the result, the pictures and the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.features import build_extractor
from evaluation.model_run import ModelRun, ModelScores
from evaluation.progress import Report
from evaluation.provenance import collect_provenance
from evaluation.reports import (
    ReportContent,
    Strip,
    load_histories,
    sample_grids,
    write_report,
)
from evaluation.results import Result
from infinity.command_options import load_pipeline
from infinity.configs import config_to_dict
from infinity.images import to_uint8
from infinity.json_files import read_json
from infinity.pipeline import InfinityPipeline
from infinity.seeds import image_seed

__all__ = ["RunOptions", "run_model"]

_NUM_STRIPS = 4
_STAND_IN_SIZE = 64  # of the images themselves; five times faster than 128


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What to measure and where to write.

    Args:
        model: saved pipeline (``vae/`` and ``transformer/``).
        data: ShapesWorld directory.
        output: where the report goes.
        history: folders with training logs, by the name to put before their curves.
        images_per_prompt: samples of every prompt.
        num_reconstructions: held-out images to reconstruct.
        guidance: one value or one per scale; the model's own if not given.
        temperature: likewise.
        splits: which prompts.
        seed: every image's own seed follows from it.
        batch_size: images drawn at once.
        inception: Inception weights for rFID; a stand-in otherwise.
        device: of the networks.
        bf16: run the networks in bfloat16.
        title: of the report.
    """

    model: Path
    data: Path
    output: Path
    history: Mapping[str, Path] = field(default_factory=dict)
    images_per_prompt: int = 2
    num_reconstructions: int = 500
    guidance: float | tuple[float, ...] | None = None
    temperature: float | tuple[float, ...] | None = None
    splits: Sequence[str] = ("id", "ood")
    seed: int = 0
    batch_size: int = 64
    inception: Path | None = None
    device: str = "cpu"
    bf16: bool = False
    title: str = ""

    def __post_init__(self) -> None:
        for name in ("images_per_prompt", "num_reconstructions", "batch_size"):
            if getattr(self, name) < 1:
                option = "--" + name.replace("_", "-")
                raise ValueError(f"{option} must be at least 1, got {getattr(self, name)}")


def run_model(
    options: RunOptions, progress: Report, load: Callable[[Any], InfinityPipeline] = load_pipeline
) -> Path:
    """Measure a model and return the path of ``report.html``; `progress` takes (what, done, total)."""
    pipeline = load(options)
    curves = load_histories(options.history)
    provenance = collect_provenance(  # what is loaded now; an export or a commit may come later
        seeds={"sampling": options.seed},
        checkpoints={part: options.model / part / "model.safetensors" for part in ("vae", "transformer")},
        data=_fingerprints(options.data),
    )
    config = _config(options, pipeline)
    run = ModelRun(
        pipeline=pipeline,
        data=options.data,
        extractor=build_extractor(options.inception, stand_in_size=_STAND_IN_SIZE, device=options.device),
        images_per_prompt=options.images_per_prompt,
        num_reconstructions=options.num_reconstructions,
        guidance=options.guidance,
        temperature=options.temperature,
        splits=options.splits,
        seed=options.seed,
        batch_size=options.batch_size,
    )
    scores = run(progress)
    content = ReportContent(
        title=options.title or f"Infinity on {options.data.name}",
        shapeseval=scores.arms,
        grids=sample_grids(scores.arms["samples"], scores.samples, seed=options.seed),
        reconstructions=tuple(scores.reconstructions[0].shown),
        strips=_strips(run, scores),
        history=curves,
        caveats=_caveats(scores),
    )
    result = Result(
        name="/".join(options.output.resolve().parts[-2:]),
        metrics=scores.metrics,
        provenance=provenance,
        config=config,
        tables={name: table for group in scores.reconstructions for name, table in group.tables().items()},
    )
    return write_report(options.output, result, content)


def _strips(run: ModelRun, scores: ModelScores) -> tuple[Strip, ...]:
    """The first prompts of different tasks, decoded after every scale while they are drawn."""
    chosen = list(
        {prompt.tag: prompt for prompt in reversed(scores.prompts) if prompt.split == "id"}.values()
    )
    strips = []
    for prompt in reversed(chosen[-_NUM_STRIPS:]):
        stages: list[np.ndarray] = []
        ratio = run.ratio_of(scores.samples[prompt.id][0])
        run.pipeline(
            prompt.text,
            seeds=[image_seed(run.seed, scores.prompts.index(prompt) * run.images_per_prompt)],
            aspect_ratio=ratio,
            guidance_scale=run.guidance,
            temperature=run.temperature,
            output_type="bits",
            callback_on_scale_end=lambda end, stages=stages: stages.append(
                to_uint8(run.pipeline.decode(end.features_BDHW))[0]
            ),
        )
        labels = tuple(f"{h}x{w}" for h, w in run.pipeline.schedule(ratio))
        strips.append(Strip(caption=prompt.text, images=tuple(stages), labels=labels))
    return tuple(strips)


def _caveats(scores: ModelScores) -> tuple[str, ...]:
    num_images = sum(group.num_images for group in scores.reconstructions)
    return tuple(
        f"{left_out} of {left_out + kept} {what} were left out: the model has no schedule for their size."
        for what, left_out, kept in (
            ("prompts", scores.num_prompts_left_out, len(scores.prompts)),
            ("held-out images", scores.num_images_left_out, num_images),
        )
        if left_out
    )


def _fingerprints(data: Path) -> dict[str, str]:
    path = data / "dataset.json"
    if not path.is_file():
        raise ValueError(f"no dataset.json in {data}; make a ShapesWorld data set there first (`make data`)")
    return {data.name: read_json(path)["fingerprint"]}


def _config(options: RunOptions, pipeline: InfinityPipeline) -> dict[str, Any]:
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()
    }
    settings |= {"sampling": config_to_dict(pipeline.sampling)}
    settings["history"] = {name: str(folder) for name, folder in options.history.items()}
    for part in ("vae", "transformer"):
        settings[part] = read_json(options.model / part / "config.json")
    return settings
