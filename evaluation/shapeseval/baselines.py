"""What to print beside a score: the ground truth (upper end) and shuffled prompts (chance).

The third, reconstructions of the ground truth (the tokenizer's ceiling), is ``run_shapeseval`` on those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation.shapeseval.results import ShapesEvalResult
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import Prompt
from evaluation.shard_images import read_shard_images

__all__ = ["ground_truth_images", "shuffled_prompts"]

_OPPOSITE = {"right of": "left of", "below": "above"}


def ground_truth_images(world_dir: str | Path, prompts: Sequence[Prompt]) -> dict[str, list[np.ndarray]]:
    """Renders of the prompts from the ``eval`` shards: RGB uint8 (H, W, 3) by prompt id."""
    wanted = {key for prompt in prompts for key in prompt.keys}
    found = dict(read_shard_images(world_dir, "eval", wanted))
    if lost := sorted(wanted - set(found)):
        shards = Path(world_dir) / "eval"
        raise ValueError(f"{shards} lacks {len(lost)} renders, e.g. {lost[0]}; make the data set again")
    return {prompt.id: [found[key] for key in prompt.keys] for prompt in prompts}


def shuffled_prompts(result: ShapesEvalResult, *, seed: int = 0) -> ShapesEvalResult:
    """Judge every image against another prompt of its task and split: what a prompt-blind model could get.

    The different requests of a task are put in random order and each takes the next one's place, so none
    keeps its own, nor one that asks for the same picture in other words ("a circle and a square", "a square
    and a circle"). A task with a single request takes one from another task.
    """
    rng = np.random.default_rng(seed)
    images = []
    for split in result.splits:
        of_split = [image for image in result.images if image.prompt.split == split]
        everything = list({_request(image.prompt): image.prompt for image in of_split}.values())
        for task in dict.fromkeys(image.prompt.tag for image in of_split):
            group = [image for image in of_split if image.prompt.tag == task]
            requests = list({_request(image.prompt): image.prompt for image in group}.values())
            if len(requests) == 1:
                requests += [prompt for prompt in everything if _request(prompt) != _request(requests[0])]
            if len(requests) == 1:
                raise ValueError("shuffled prompts need at least two different prompts")
            order = rng.permutation(len(requests))
            partner = {
                _request(requests[here]): requests[there]
                for here, there in zip(order, np.roll(order, 1), strict=True)
            }
            for image in group:
                other = partner[_request(image.prompt)]
                verdict = judge(image.verdict.detections, other, strict=result.is_strict)
                stand_in = replace(other, tag=task, level=image.prompt.level, split=split)
                images.append(replace(image, prompt=stand_in, verdict=verdict))
    return replace(result, arm="shuffled prompts", images=tuple(images))


def _request(prompt: Prompt) -> frozenset:
    """What a prompt asks for, whatever the words' order."""
    parts = []
    for query in prompt.include:
        parts.append((query.shape, query.count, query.color))
        if query.relation is None or query.target is None:
            continue
        ends = (query.shape, prompt.include[query.target].shape)
        if query.relation in _OPPOSITE:  # "a right of b" is "b left of a"
            parts.append((ends[1], _OPPOSITE[query.relation], ends[0]))
        else:
            parts.append((ends[0], query.relation, ends[1]))
    return frozenset(parts)
