"""Choose the images of ShapesEval that a report shows: first, random and worst ones, never picked by eye."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.reports.content import Box, Grid, Tile
from evaluation.shapeseval.results import ScoredImage, ShapesEvalResult

__all__ = ["sample_grids"]


def sample_grids(
    result: ShapesEvalResult,
    images_by_prompt: Mapping[str, Sequence[np.ndarray]],
    *,
    split: str | None = None,
    per_task: int = 2,
    num_random: int = 12,
    seed: int = 0,
) -> tuple[Grid, ...]:
    """The first `per_task` of every task, `num_random` of all, and the worst; of one split (the first)."""
    split = split or result.splits[0]
    images = [image for image in result.images if image.prompt.split == split]
    taken: Counter[str] = Counter()
    first = []
    for image in images:
        if image.index == 0 and taken[image.prompt.tag] < per_task:
            taken[image.prompt.tag] += 1
            first.append(image)
    num_random = min(num_random, len(images))
    chosen = np.random.default_rng(seed).choice(len(images), num_random, replace=False)
    worst = _worst(images)[:num_random]
    grids = (
        Grid(
            title="The first ones",
            note=f"The first {per_task} prompts of every task, first image each.",
            tiles=tuple(_tile(image, images_by_prompt) for image in first),
        ),
        Grid(
            title="Random ones",
            note=f"{num_random} of {len(images)} images, drawn with seed {seed}.",
            tiles=tuple(_tile(images[index], images_by_prompt) for index in chosen),
        ),
        Grid(
            title="The worst ones",
            note=f"{len(worst)} images with the most kinds of failures, one a prompt.",
            tiles=tuple(_tile(image, images_by_prompt) for image in worst),
        ),
    )
    return tuple(grid for grid in grids if grid.tiles)


def _worst(images: Sequence[ScoredImage]) -> list[ScoredImage]:
    """Wrong images, those that fail in most ways first; the worst of each prompt."""
    wrong = [image for image in images if not image.verdict.correct]
    by_prompt: dict[str, ScoredImage] = {}
    for image in sorted(wrong, key=lambda image: -len(image.verdict.failures)):
        by_prompt.setdefault(image.prompt.id, image)
    return list(by_prompt.values())


def _tile(image: ScoredImage, images_by_prompt: Mapping[str, Sequence[np.ndarray]]) -> Tile:
    verdict = image.verdict
    pixels = images_by_prompt[image.prompt.id][image.index]
    boxes = tuple(
        Box(sides=one.box, label=f"{one.color} {one.shape}", score=one.shape_score)
        for one in verdict.detections
    )
    return Tile(
        image=pixels,
        caption=image.prompt.text,
        correct=verdict.correct,
        note=verdict.reason,
        boxes=boxes,
    )
