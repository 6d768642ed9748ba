"""ShapesEval's prompts for the runner, in an order whose beginnings are fair samples of the whole."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evaluation.shapeseval.hard import hard_prompts
from evaluation.shapeseval.world import Prompt, load_prompts
from evaluation.tasks.api import EvalContext, EvalPrompt
from infinity.schedules import Resolution

__all__ = ["drawable", "hard_set", "standard_set", "world_dir"]

_NUM_IMAGES = 2


def standard_set(context: EvalContext) -> list[EvalPrompt]:
    """The prompts of the data set: of the training distribution, and held out."""
    return [_entry(prompt) for prompt in drawable(load_prompts(world_dir(context)), context)]


def hard_set(context: EvalContext) -> list[EvalPrompt]:
    """Prompts of :mod:`evaluation.shapeseval.hard`."""
    return [_entry(prompt) for prompt in drawable(hard_prompts(world_dir(context)), context)]


def world_dir(context: EvalContext) -> Path:
    """The ShapesWorld data set of a run."""
    if context.data is None:
        raise ValueError("ShapesEval needs a ShapesWorld data set; name one with --data")
    return context.data


def drawable(prompts: Sequence[Prompt], context: EvalContext) -> list[Prompt]:
    """Those that the model has a shape for, task by task and level by level in turn.

    A model may draw held-out shapes as well (level ``aspect``), if its schedules are built for any shape.
    """
    groups: dict[tuple[str, str], list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        ratio = prompt.aspect_ratio
        if context.pipeline is not None:
            ratio = _ratio_of(prompt, context.pipeline.resolution)
        if ratio is not None:
            groups[prompt.level, prompt.tag].append(replace(prompt, aspect_ratio=ratio))
    longest = max(map(len, groups.values()), default=0)
    return [group[k] for k in range(longest) for group in groups.values() if k < len(group)]


def _ratio_of(prompt: Prompt, resolution: Resolution) -> float | None:
    for ratio in resolution.aspect_ratios:
        if math.isclose(ratio, prompt.aspect_ratio, rel_tol=0.01):
            return ratio
    return prompt.aspect_ratio if prompt.level == "aspect" and resolution.sides else None


def _entry(prompt: Prompt) -> EvalPrompt:
    return EvalPrompt(
        id=prompt.id,
        text=prompt.text,
        num_images=_NUM_IMAGES,
        aspect_ratio=prompt.aspect_ratio,
        metadata=prompt.to_dict(),
    )
