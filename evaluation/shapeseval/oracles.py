"""Baselines that need no model: the nearest training picture, and the right shapes in random colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from evaluation.shapeseval.results import ShapesEvalResult
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import Prompt, World
from evaluation.shard_captions import read_shard_captions
from evaluation.shard_images import read_shard_images

__all__ = ["colour_blind", "nearest_captions", "retrieved_images"]


def retrieved_images(world_dir: str | Path, prompts: Sequence[Prompt]) -> dict[str, np.ndarray]:
    """The training picture (RGB uint8 (H, W, 3)) with the caption nearest to every prompt, by prompt id.

    A model that does better on held-out prompts composes; one that does not may as well look up.
    """
    keys: dict[str, str] = {}  # the first picture of a caption
    for key, caption in read_shard_captions(world_dir, "train"):
        keys.setdefault(caption, key)
    nearest = nearest_captions([prompt.text for prompt in prompts], list(keys))
    wanted = {prompt.id: keys[caption] for prompt, caption in zip(prompts, nearest, strict=True)}
    images = dict(read_shard_images(world_dir, "train", set(wanted.values())))
    return {prompt_id: images[key] for prompt_id, key in wanted.items()}


def nearest_captions(texts: Sequence[str], captions: Sequence[str]) -> list[str]:
    """For every text the caption that shares most words and pairs of neighbouring words with it.

    The measure is Jaccard's (shared over all), ties go to the first caption.
    """
    terms = {term: k for k, term in enumerate({t: 0 for text in [*texts, *captions] for t in _terms(text)})}
    ours, theirs = (_incidence(group, terms) for group in (texts, captions))
    shared = ours @ theirs.T
    union = ours.sum(axis=1)[:, None] + theirs.sum(axis=1) - shared
    return [captions[k] for k in (shared / union).argmax(axis=1)]


def colour_blind(truth: ShapesEvalResult, world: World, *, seed: int = 0) -> ShapesEvalResult:
    """The ground truth's objects in random colours, all different in a picture where there are enough."""
    rng, names = np.random.default_rng(seed), list(world.colors)
    images = []
    for image in truth.images:
        objects = image.verdict.detections
        drawn = rng.choice(len(names), len(objects), replace=len(objects) > len(names))
        painted = [replace(one, color=names[k]) for one, k in zip(objects, drawn, strict=True)]
        verdict = judge(painted, image.prompt, strict=truth.is_strict)
        images.append(replace(image, verdict=verdict))
    return replace(truth, arm="random colours", images=tuple(images))


def _incidence(texts: Iterable[str], terms: dict[str, int]) -> np.ndarray:
    texts = list(texts)
    rows = np.zeros((len(texts), len(terms)), np.float32)
    for row, text in zip(rows, texts, strict=True):
        row[[terms[term] for term in _terms(text)]] = 1
    return rows


def _terms(text: str) -> list[str]:
    words = text.lower().split()
    return [*words, *(" ".join(pair) for pair in zip(words, words[1:], strict=False))]
