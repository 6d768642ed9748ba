"""Scenes by number: which scene a split has at an index, as a pure function."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from functools import cache

from datamodules.shapesworld.grammar import TASKS, Prompt, Task, prompts_of
from datamodules.shapesworld.holdouts import ood_level
from datamodules.shapesworld.scenes import Scene, sample_scene
from datamodules.shapesworld.vocabulary import World

__all__ = ["BALANCED_MIX", "seeded", "training_scene"]

BALANCED_MIX: dict[Task, float] = dict.fromkeys(TASKS, 1.0)


def seeded(*parts: object) -> random.Random:
    """A generator whose seed is a hash of its arguments: the same on every machine, platform and Python."""
    return random.Random(int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:16]))


@cache
def trained_prompts(world: World, task: Task) -> tuple[Prompt, ...]:
    return tuple(prompt for prompt in prompts_of(world, task) if ood_level(world, prompt) == "id")


def training_scene(
    world: World, split: str, index: int, *, seed: int = 0, mix: Mapping[Task, float] = BALANCED_MIX
) -> Scene:
    """Scene `index` of a split of the training distribution (`train`, `val`): same words, other seeds."""
    rng = seeded("shapesworld", world.tier, seed, split, index)
    tasks, weights = list(mix), list(mix.values())
    prompt = rng.choice(trained_prompts(world, rng.choices(tasks, weights)[0]))
    return sample_scene(world, prompt, rng, aspect_ratio=rng.choice(world.aspect_ratios))
