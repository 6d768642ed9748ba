"""Tiny data sets, and short runs of the real command in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.folder import folder_dataset
from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from lit_modules.demo import DemoOptions, run_demo

DEMO_MINUTES = 10.0


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like ``data/``: both tiers of ShapesWorld, and hand-made pictures in place of emoji."""
    root = tmp_path_factory.mktemp("data")
    for tier in ("basic", "full"):
        config = ShapesWorldConfig(tier=tier, num_train=32, num_val=8, prompts_per_task=1)
        pack_dataset(root / f"shapesworld_{tier}", shapesworld_dataset(config))
    pictures = root / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    for i in range(24):
        pixels = np.full((64, 64, 3), rng.integers(0, 256, 3), np.uint8)
        pixels[16:48, 16:48] = rng.integers(0, 256, 3)
        Image.fromarray(pixels).save(pictures / f"{i:02}.png")
        (pictures / f"{i:02}.txt").write_text(f"picture number {i}")
    pack_dataset(root / "emoji", folder_dataset(pictures, 0.3))
    return root


@pytest.fixture(scope="session")
def demo_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `make demo` that ``--demo-run`` names; without it, one of minutes."""
    run = request.config.getoption("--demo-run")
    if run is None:
        root = tmp_path_factory.mktemp("demo")
        run = root / "run"
        run_demo(DemoOptions(budget=DEMO_MINUTES, output=run, data=root / "data"))
    return run
