"""ShapesWorld as a data set: the scene of every split and index, evaluation prompts, sources to pack.

Splits: ``train`` and ``val`` (other seeds, same distribution: held-out images for reconstruction), and
``eval``, the ground-truth pictures of ``prompts.jsonl``: prompts of the training distribution (``id``) and
held-out ones (``ood``).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any, NamedTuple

import cv2

from datamodules.packing import DatasetParts
from datamodules.shapesworld.grammar import TASKS, Prompt, Task, prompts_of
from datamodules.shapesworld.holdouts import ood_level
from datamodules.shapesworld.render import render_scene
from datamodules.shapesworld.scenes import Scene, sample_scene
from datamodules.shapesworld.vocabulary import COLORS, OUTLINES, WORLDS, Tier, World
from datamodules.shards import Sample, SampleSource

__all__ = ["EvalPrompt", "ShapesWorldConfig", "evaluation_prompts", "shapesworld_dataset", "training_scene"]

_VERSION = 1  # of what the scenes look like: part of the data set's fingerprint


@dataclass(frozen=True, kw_only=True)
class ShapesWorldConfig:
    """What to render.

    Args:
        tier: `basic` is learnable in minutes, `full` is not.
        size: side of square images in pixels; other aspect ratios have about the same area.
        num_train: training scenes.
        num_val: held-out scenes of the training distribution.
        prompts_per_task: evaluation prompts of every task, and of every kind of held-out prompt.
        renders_per_prompt: ground-truth pictures of every evaluation prompt.
        mix: weights of the tasks in `train` and `val`.
        seed: of everything.
    """

    tier: Tier = "basic"
    size: int = 64
    num_train: int = 20_000
    num_val: int = 1_000
    prompts_per_task: int = 40
    renders_per_prompt: int = 1
    mix: dict[Task, float] = field(default_factory=lambda: dict.fromkeys(TASKS, 1.0))
    seed: int = 0

    def __post_init__(self) -> None:
        if self.tier not in WORLDS:
            raise ValueError(f"tier must be one of {', '.join(WORLDS)}, got {self.tier!r}")
        if self.size < 32 or self.size % 16:
            raise ValueError(f"size must be a multiple of 16 from 32 on, got {self.size}")
        for name in ("num_train", "num_val", "prompts_per_task", "renders_per_prompt"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        unknown = set(self.mix) - set(TASKS)
        if unknown or min(self.mix.values(), default=0) < 0 or sum(self.mix.values()) <= 0:
            raise ValueError(f"mix must give {', '.join(TASKS)} weights >= 0, not all 0, got {self.mix}")

    @property
    def world(self) -> World:
        return WORLDS[self.tier]


class EvalPrompt(NamedTuple):
    id: str
    level: str  # id, or what is held out about it
    prompt: Prompt
    aspect_ratio: float

    @property
    def guarded(self) -> bool:
        return self.level in ("id", "aspect")

    def keys(self, num_renders: int) -> list[str]:
        return [f"{self.id}-{render}" for render in range(num_renders)]

    def line(self, num_renders: int) -> dict[str, Any]:
        """What ``prompts.jsonl`` says: GenEval's schema and where the ground truth is."""
        keys = self.keys(num_renders)
        split = "id" if self.level == "id" else "ood"
        place = {"split": split, "level": self.level, "aspect_ratio": self.aspect_ratio}
        return {"id": self.id, **self.prompt.metadata(), **place, "key": keys[0], "keys": keys}


def training_scene(config: ShapesWorldConfig, split: str, index: int) -> Scene:
    """Scene `index` of a split of the training distribution (`train` or `val`)."""
    world = config.world
    rng = _seeded(config, split, index)
    tasks = [task for task in TASKS if task in config.mix]  # in an order that does not depend on the config's
    task = rng.choices(tasks, [config.mix[task] for task in tasks])[0]
    prompt = rng.choice(_by_level(world, task)["id"])
    return sample_scene(world, prompt, rng, aspect_ratio=rng.choice(world.aspect_ratios))


def evaluation_prompts(config: ShapesWorldConfig) -> list[EvalPrompt]:
    """Prompts of every task and level: each list is shuffled, then gone through as often as needed."""
    world = config.world
    groups: list[tuple[str, Task, tuple[Prompt, ...], tuple[float, ...]]] = []
    for task in TASKS:
        groups.append(("id", task, _by_level(world, task)["id"], world.aspect_ratios))
    for task in TASKS:
        for level, prompts in _by_level(world, task).items():
            if level != "id":
                groups.append((level, task, prompts, world.aspect_ratios))
        if world.held_out_aspect_ratios:
            groups.append(("aspect", task, _by_level(world, task)["id"], world.held_out_aspect_ratios))
    chosen = []
    for level, task, prompts, ratios in groups:
        shuffled = list(prompts)
        _seeded(config, "prompts", level, task).shuffle(shuffled)
        for k in range(config.prompts_per_task):
            name = f"{level}-{task}-{k:04d}"
            chosen.append(EvalPrompt(name, level, shuffled[k % len(shuffled)], ratios[k % len(ratios)]))
    return chosen


def evaluation_scene(config: ShapesWorldConfig, prompt: EvalPrompt, render: int) -> Scene:
    rng = _seeded(config, "eval", prompt.id, render)
    return sample_scene(
        config.world, prompt.prompt, rng, aspect_ratio=prompt.aspect_ratio, guarded=prompt.guarded
    )


@dataclass(frozen=True)
class TrainingScenes:
    """Source of `train` or `val`."""

    config: ShapesWorldConfig
    split: str

    def __len__(self) -> int:
        return self.config.num_train if self.split == "train" else self.config.num_val

    def __getitem__(self, index: int) -> Sample:
        return _sample(
            f"{self.split}-{index:08d}", training_scene(self.config, self.split, index), self.config.size
        )


@dataclass(frozen=True)
class EvaluationScenes:
    """Source of `eval`: the renders of every prompt, in the prompts' order."""

    config: ShapesWorldConfig
    prompts: tuple[EvalPrompt, ...]

    def __len__(self) -> int:
        return len(self.prompts) * self.config.renders_per_prompt

    def __getitem__(self, index: int) -> Sample:
        number, render = divmod(index, self.config.renders_per_prompt)
        prompt = self.prompts[number]
        scene = evaluation_scene(self.config, prompt, render)
        return _sample(prompt.keys(render + 1)[render], scene, self.config.size)


def shapesworld_dataset(config: ShapesWorldConfig) -> DatasetParts:
    """All splits of a configuration, with ``world.json`` and ``prompts.jsonl`` for the evaluation."""
    prompts = evaluation_prompts(config)
    splits: dict[str, SampleSource] = {split: TrainingScenes(config, split) for split in ("train", "val")}
    splits["eval"] = EvaluationScenes(config, tuple(prompts))
    lines = [json.dumps(prompt.line(config.renders_per_prompt)) for prompt in prompts]
    world = config.world
    facts = {
        "tier": config.tier,
        "size": config.size,
        "backgrounds": world.backgrounds,
        "shapes": {shape: OUTLINES[shape] for shape in world.shapes},
        "colors": {color: COLORS[color] for color in world.colors},
    }
    files = {"world.json": json.dumps(facts) + "\n", "prompts.jsonl": "\n".join(lines) + "\n"}
    return DatasetParts({"name": "shapesworld", "version": _VERSION, **asdict(config)}, splits, files)


@cache
def _by_level(world: World, task: Task) -> Mapping[str, tuple[Prompt, ...]]:
    levels: dict[str, list[Prompt]] = {}
    for prompt in prompts_of(world, task):
        levels.setdefault(ood_level(world, prompt), []).append(prompt)
    return {level: tuple(prompts) for level, prompts in levels.items()}


def _seeded(config: ShapesWorldConfig, *parts: object) -> random.Random:
    """A generator whose seed is a hash: the same on every machine, whatever ran before."""
    words = "|".join(map(str, ("shapesworld", config.tier, config.seed, *parts)))
    return random.Random(int.from_bytes(hashlib.sha256(words.encode()).digest()[:16]))


def _sample(key: str, scene: Scene, size: int) -> Sample:
    pixels = render_scene(scene, size)
    encoded, png = cv2.imencode(".png", pixels[..., ::-1])  # OpenCV means BGR
    assert encoded
    height, width, _ = pixels.shape
    return Sample(key, png.tobytes(), "png", scene.prompt.text, width, height, scene.metadata(size))
