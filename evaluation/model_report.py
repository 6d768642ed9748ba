"""From a saved pipeline to a report: measure it, then write the result, the pictures and the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.features import build_extractor
from evaluation.model_run import ModelRun, ModelScores
from evaluation.provenance import collect_provenance
from evaluation.reconstruction import bit_table
from evaluation.reports import (
    ReportContent,
    Strip,
    load_history,
    reconstruction_pairs,
    sample_grids,
    write_report,
)
from evaluation.results import Result
from infinity.configs import config_to_dict
from infinity.pipeline import InfinityPipeline, image_seed, to_uint8

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
        inception: Inception weights for rFID; a stand-in otherwise.
        bf16: run the networks under bfloat16 autocast.
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
    inception: Path | None = None
    bf16: bool = False
    title: str = ""


def run_model(options: RunOptions, progress: Callable[[str, int, int], Any]) -> Path:
    """Measure a model and return the path of ``report.html``; `progress` takes (what, done, total)."""
    pipeline = InfinityPipeline.from_pretrained(options.model)
    curves = {}
    for name, folder in options.history.items():
        curves |= load_history(folder, f"{name}/")
    if options.bf16:
        pipeline.to(dtype=torch.bfloat16)
    run = ModelRun(
        pipeline=pipeline,
        data=options.data,
        extractor=build_extractor(options.inception, stand_in_size=_STAND_IN_SIZE),
        images_per_prompt=options.images_per_prompt,
        num_reconstructions=options.num_reconstructions,
        guidance=options.guidance,
        temperature=options.temperature,
        splits=options.splits,
        seed=options.seed,
    )
    scores = run(progress)
    content = ReportContent(
        title=options.title or f"Infinity on {options.data.name}",
        shapeseval=scores.arms,
        grids=sample_grids(scores.arms["samples"], scores.samples, seed=options.seed),
        reconstructions=_pairs(scores),
        strips=_strips(run, scores),
        history=curves,
        caveats=_caveats(scores),
    )
    result = Result(
        name=options.output.parent.name,
        metrics=scores.metrics,
        provenance=collect_provenance(
            seeds={"sampling": options.seed},
            checkpoints={part: options.model / part / "model.safetensors" for part in ("vae", "transformer")},
            data=_fingerprints(options.data),
        ),
        config=_config(options, pipeline),
        tables={"bits_per_scale": bit_table(scores.reconstructions[0].bits)},
    )
    return write_report(options.output, result, content)


def _pairs(scores: ModelScores) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    first = scores.reconstructions[0]
    return tuple(reconstruction_pairs(first.originals, first.recons, 24))


def _strips(run: ModelRun, scores: ModelScores) -> tuple[Strip, ...]:
    """The first prompts of different tasks, decoded after every scale while they are drawn."""
    chosen = list(
        {prompt.tag: prompt for prompt in reversed(scores.prompts) if prompt.split == "id"}.values()
    )
    strips = []
    for prompt in reversed(chosen[-_NUM_STRIPS:]):
        stages: list[np.ndarray] = []
        run.pipeline(
            prompt.text,
            seeds=[image_seed(run.seed, scores.prompts.index(prompt) * run.images_per_prompt)],
            guidance_scale=run.guidance,
            temperature=run.temperature,
            output_type="bits",
            callback_on_scale_end=lambda k, bits, total, stages=stages: stages.append(
                to_uint8(run.pipeline.decode(total))[0]
            ),
        )
        labels = tuple(f"{h}x{w}" for h, w in run.pipeline.schedule())
        strips.append(Strip(caption=prompt.text, images=tuple(stages), labels=labels))
    return tuple(strips)


def _caveats(scores: ModelScores) -> tuple[str, ...]:
    if not scores.num_left_out:
        return ()
    left_out, of = scores.num_left_out, scores.num_left_out + len(scores.prompts)
    return (f"{left_out} of {of} prompts were left out: the model has no schedule for their image size.",)


def _fingerprints(data: Path) -> dict[str, str]:
    description = json.loads((data / "dataset.json").read_text())
    return {data.name: description["fingerprint"]}


def _config(options: RunOptions, pipeline: InfinityPipeline) -> dict[str, Any]:
    settings = {
        key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()
    }
    settings |= {"sampling": config_to_dict(pipeline.sampling)}
    settings["history"] = {name: str(folder) for name, folder in options.history.items()}
    for part in ("vae", "transformer"):
        settings[part] = json.loads((options.model / part / "config.json").read_text())
    return settings
