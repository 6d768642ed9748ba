"""A small data set with three aspect ratios, rendered once per test session."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from infinity.schedules import Resolution

CONFIG = ShapesWorldConfig(tier="full", size=32, num_train=101, num_val=23, prompts_per_task=1)
RESOLUTION = Resolution(stride=8, sides=(1, 2, 4), aspect_ratios=(0.6, 1.0, 5 / 3))


@pytest.fixture(scope="session")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only; `root` is a copy to damage."""
    root = tmp_path_factory.mktemp("data") / "full"
    pack_dataset(root, shapesworld_dataset(CONFIG), samples_per_shard=25)
    return root


@pytest.fixture
def root(shared_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_root, tmp_path / "copy"))


@pytest.fixture
def make_module(shared_root: Path) -> Callable[..., ImageTextDataModule]:
    def make(root: Path = shared_root, batch_size: int = 4, **options: object) -> ImageTextDataModule:
        return ImageTextDataModule(str(root), RESOLUTION, batch_size, **options)  # type: ignore[arg-type]

    return make


def write_tar(path: Path, files: dict[str, bytes] | list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items() if isinstance(files, dict) else files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
