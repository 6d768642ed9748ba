"""ShapesWorld's evaluation set, rendered in memory and read as the benchmark reads it."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal, NamedTuple

import cv2
import numpy as np
import pytest

from datamodules.shapesworld.dataset import ShapesWorldConfig, shapesworld_dataset
from evaluation.shapeseval.detector import Detection, ShapeDetector
from evaluation.shapeseval.world import Prompt, World, parse_prompts


class RenderedWorld(NamedTuple):
    world: World
    prompts: list[Prompt]
    images: list[np.ndarray]  # the ground truth of every prompt
    truth: list[list[Detection]]  # what a perfect detector would find
    detections: list[list[Detection]]  # what ours finds


@cache
def render_world(tier: Literal["basic", "full"], size: int) -> RenderedWorld:
    config = ShapesWorldConfig(tier=tier, size=size, prompts_per_task=12, num_train=1, num_val=1, seed=1)
    parts = shapesworld_dataset(config)
    source = parts.splits["eval"]
    samples = [source[index] for index in range(len(source))]
    world = World.from_dict(json.loads(parts.files["world.json"]))
    prompts = parse_prompts(parts.files["prompts.jsonl"])
    images = [cv2.imdecode(np.frombuffer(sample.image, np.uint8), 1)[..., ::-1].copy() for sample in samples]
    truth = [[_perfect(item) for item in sample.metadata["objects"]] for sample in samples]
    return RenderedWorld(world, prompts, images, truth, list(map(ShapeDetector(world), images)))


def _perfect(item: dict) -> Detection:
    return Detection(
        shape=item["class"], color=item["color"], box=tuple(item["box"]), shape_score=1.0, color_distance=0.0
    )


@pytest.fixture(params=[(tier, size) for tier in ("basic", "full") for size in (64, 128)], ids=str)
def rendered(request: pytest.FixtureRequest) -> RenderedWorld:
    return render_world(*request.param)


@pytest.fixture
def basic() -> RenderedWorld:
    return render_world("basic", 64)


@pytest.fixture
def full() -> RenderedWorld:
    return render_world("full", 64)
