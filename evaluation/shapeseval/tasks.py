"""ShapesEval as tasks of the runner."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from evaluation.results import MetricValue, Table
from evaluation.shapeseval.analysis import analysis_metrics, analysis_tables
from evaluation.shapeseval.baselines import ground_truth_images, shuffled_prompts
from evaluation.shapeseval.hard import hard_prompts
from evaluation.shapeseval.oracles import colour_blind, retrieved_images
from evaluation.shapeseval.prompt_sets import drawable, world_dir
from evaluation.shapeseval.results import ShapesEvalResult
from evaluation.shapeseval.runner import judge_images
from evaluation.shapeseval.world import Prompt, World, load_prompts
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tokenizer.reconstruct import fitted, needed_pipeline, reconstruct_images

__all__ = ["ShapesEval", "ShapesEvalBaselines", "ShapesEvalCeiling"]


class ShapesEval:
    """Share of drawn images that show what their prompt asks for.

    Args:
        prompt_set: "shapesworld", or "shapesworld_hard".
        strict: refuse extra objects; otherwise GenEval's rule.
    """

    prompt_set: str | None

    def __init__(
        self, *, prompt_set: Literal["shapesworld", "shapesworld_hard"] = "shapesworld", strict: bool = True
    ) -> None:
        self.prompt_set = prompt_set
        self._strict = strict

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        data = world_dir(context)
        world = World.load(data)
        everything = load_prompts(data) if self.prompt_set == "shapesworld" else hard_prompts(data)
        result = judge_images(
            world,
            ((Prompt.from_dict(one.prompt.metadata), one.index, one.image()) for one in samples),
            everything,
            strict=self._strict,
        )
        metrics = [*result.metrics(), *analysis_metrics(result)]
        shuffled = _shuffled(result, context.seed)
        if shuffled is not None:
            metrics += shuffled.metrics()
        num_left_out = len(everything) - len({image.prompt.id for image in result.images})
        left_out = (
            f"{num_left_out} of {len(everything)} prompts of ShapesEval were left out: a limit, or shapes "
            "that the model has no schedule for."
        )
        return TaskScore(
            metrics=tuple(metrics),
            rows=tuple({**row, "index": row["image"]} for row in result.rows()),
            tables=analysis_tables(result, world),
            caveats=(left_out,) if num_left_out else (),
        )


class ShapesEvalBaselines:
    """What a score has to be compared with, of the same prompts: ground truth, look-up, random colours."""

    prompt_set: str | None = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        data = world_dir(context)
        world, everything = World.load(data), load_prompts(data)
        prompts = drawable(everything, context)[: context.limit]
        renders = ground_truth_images(data, prompts)
        truth = judge_images(world, _jobs(prompts, renders), everything, arm="ground truth")
        found = {prompt_id: [image] for prompt_id, image in retrieved_images(data, prompts).items()}
        nearest = judge_images(world, _jobs(prompts, found), everything, arm="nearest training prompt")
        return _score_of([truth, nearest, colour_blind(truth, world, seed=context.seed)])


class ShapesEvalCeiling:
    """ShapesEval of the ground truth's reconstructions: what a model with this tokenizer can hope for."""

    prompt_set: str | None = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        pipeline, data = needed_pipeline(context), world_dir(context)
        everything = load_prompts(data)
        trained = pipeline.resolution.aspect_ratios
        prompts = [p for p in drawable(everything, context) if p.aspect_ratio in trained][: context.limit]
        jobs = _jobs(prompts, ground_truth_images(data, prompts))
        images = [fitted(image, pipeline.resolution) for _, _, image in jobs]
        recons = reconstruct_images(pipeline, images, context.batch_size)
        rebuilt = [(prompt, k, recon) for (prompt, k, _), recon in zip(jobs, recons, strict=True)]
        return _score_of([judge_images(World.load(data), rebuilt, everything, arm="reconstructions")])


def _jobs(
    prompts: Sequence[Prompt], images: Mapping[str, Sequence[np.ndarray]]
) -> list[tuple[Prompt, int, np.ndarray]]:
    return [(prompt, k, image) for prompt in prompts for k, image in enumerate(images[prompt.id])]


def _score_of(arms: Sequence[ShapesEvalResult]) -> TaskScore:
    metrics: list[MetricValue] = [metric for arm in arms for metric in arm.metrics()]
    rows = tuple(
        (arm.arm, split, score.name, *score.accuracy, score.num_images)
        for arm in arms
        for split in arm.splits
        for score in [arm.overall(split), *(arm.tasks(split) if split == "id" else arm.levels(split))]
    )
    columns = ("what was judged", "split", "task or level", "correct", "95% from", "to", "images")
    name = f"ShapesEval of {', '.join(arm.arm for arm in arms)}"
    return TaskScore(metrics=tuple(metrics), tables={name: Table(columns=columns, rows=rows)})


def _shuffled(result: ShapesEvalResult, seed: int) -> ShapesEvalResult | None:
    """The baseline, of splits in which there is another prompt to take."""
    texts: dict[str, set[str]] = defaultdict(set)
    for image in result.images:
        texts[image.prompt.split].add(image.prompt.text)
    images = tuple(image for image in result.images if len(texts[image.prompt.split]) > 1)
    return shuffled_prompts(replace(result, images=images), seed=seed) if images else None
