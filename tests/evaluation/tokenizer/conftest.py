"""Held-out images and a tokenizer with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFinder
from infinity.pipeline import InfinityPipeline


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    config = ShapesWorldConfig(tier="full", num_train=1, num_val=12, prompts_per_task=1)
    pack_dataset(root, shapesworld_dataset(config))
    return root


@pytest.fixture
def context(pipeline: InfinityPipeline, data: Path) -> EvalContext:
    return EvalContext(weights=WeightFinder(), pipeline=pipeline, data=data, batch_size=2)
