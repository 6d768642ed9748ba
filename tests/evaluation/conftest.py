"""A small ShapesWorld data set on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.packing import pack_dataset
from datamodules.shapesworld.dataset import ShapesWorldConfig, shapesworld_dataset


@pytest.fixture(scope="session")
def world_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapesworld")
    config = ShapesWorldConfig(tier="basic", size=64, num_train=1, num_val=1, prompts_per_task=4)
    pack_dataset(root, shapesworld_dataset(config))
    return root
