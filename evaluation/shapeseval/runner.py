"""Run ShapesEval: images by prompt in, scores out. Missing images fail the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.provenance import sha256_of_pixels
from evaluation.shapeseval.detector import ShapeDetector
from evaluation.shapeseval.results import LENIENT, ScoredImage, ShapesEvalResult
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import Prompt, World, load_prompts

__all__ = ["judge_images", "run_shapeseval", "select_prompts"]


def select_prompts(
    prompts: Sequence[Prompt], *, splits: Sequence[str] = ("id", "ood"), per_task: int | None = None
) -> list[Prompt]:
    """Prompts of some splits, at most the first `per_task` of every task and level."""
    if per_task is not None and per_task < 1:
        raise ValueError(f"per_task must be at least 1, got {per_task}")
    known = sorted({prompt.split for prompt in prompts})
    if unknown := sorted(set(splits) - set(known)):
        raise ValueError(f"no prompts of split {', '.join(unknown)}; there are {', '.join(known)}")
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for prompt in prompts:
        group = (prompt.tag, prompt.level)
        if prompt.split in splits and (per_task is None or taken[group] < per_task):
            taken[group] += 1
            chosen.append(prompt)
    return chosen


def run_shapeseval(
    world_dir: str | Path,
    images_by_prompt: Mapping[str, Sequence[np.ndarray]],
    *,
    prompts: Sequence[Prompt] | None = None,
    arm: str = "samples",
    strict: bool = True,
) -> ShapesEvalResult:
    """Judge images against the prompts they were made for.

    Args:
        world_dir: data set with ``world.json`` and ``prompts.jsonl``.
        images_by_prompt: RGB uint8 (H, W, 3) images by prompt id.
        prompts: what should be there; all prompts of the data set if not given.
        arm: what the images are, see :class:`ShapesEvalResult`.
        strict: refuse extra objects; otherwise GenEval's rule (another metric id).
    """
    world, everything = World.load(world_dir), load_prompts(world_dir)
    prompts = everything if prompts is None else prompts
    missing = [prompt.id for prompt in prompts if not len(images_by_prompt.get(prompt.id, ()))]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(prompts)} prompts have no image, e.g. {', '.join(missing[:3])}; "
            "generate them, or name the prompts to score"
        )
    if foreign := sorted(set(images_by_prompt) - {prompt.id for prompt in prompts}):
        raise ValueError(f"{len(foreign)} prompt ids are not to be scored, e.g. {', '.join(foreign[:3])}")
    jobs = [(prompt, k, image) for prompt in prompts for k, image in enumerate(images_by_prompt[prompt.id])]
    return judge_images(world, jobs, everything, arm=arm, strict=strict)


def judge_images(
    world: World,
    jobs: Iterable[tuple[Prompt, int, np.ndarray]],
    everything: Sequence[Prompt],
    *,
    arm: str = "samples",
    strict: bool = True,
) -> ShapesEvalResult:
    """Judge images one by one.

    Args:
        jobs: prompt, which of its images, and the image (RGB uint8 (H, W, 3)).
        everything: all prompts of the benchmark; ids say how many of them were judged, if not all.
    """
    detector = ShapeDetector(world)
    images = tuple(
        ScoredImage(
            prompt=prompt,
            index=index,
            sha256=sha256_of_pixels(image),
            verdict=judge(detector(image), prompt, strict=strict),
        )
        for prompt, index, image in jobs
    )
    knobs = [world.tier, f"{world.size}px", *([] if strict else [LENIENT])]
    judged = {image.prompt.id: image.prompt.split for image in images}
    num_asked = sum(prompt.split in judged.values() for prompt in everything)
    if len(judged) < num_asked:  # scores of a part do not compare with those of the whole
        knobs.append(f"prompts={len(judged)}of{num_asked}")
    return ShapesEvalResult(knobs=",".join(knobs), arm=arm, images=images)
