"""A small data set with three aspect ratios, rendered once per test session."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from datamodules.index import ShardIndex
from datamodules.indexing import index_directory
from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from infinity.schedules import Resolution

CONFIG = ShapesWorldConfig(tier="full", size=32, num_train=101, num_val=23, prompts_per_task=1)
RESOLUTION = Resolution(stride=8, sides=(1, 2, 4), aspect_ratios=(0.6, 1.0, 5 / 3))
MakeModule = Callable[..., ImageTextDataModule]


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


@pytest.fixture
def captioned(shared_root: Path, tmp_path: Path) -> Path:
    """A data set whose samples have captions of two kinds, but for one with a main caption alone."""
    index = ShardIndex.load(shared_root / "val")
    files: list[tuple[str, bytes]] = []
    for k in range(12):
        row = index[k]
        with index.shard_path(row.shard).open("rb") as file:
            file.seek(row.image.start)
            record = {"caption": f"main {k}"}
            if k:
                record |= {"captions": {"long": [f"long {k}", f"longer {k}"], "short": f"short {k}"}}
            files += [
                (f"{k:03}.png", file.read(row.image.num_bytes)),
                (f"{k:03}.json", json.dumps(record).encode()),
            ]
    root = tmp_path / "captioned"
    for split in ("train", "val"):
        (root / split).mkdir(parents=True)
        write_tar(root / split / "00000.tar", files)
    index_directory(root)
    return root


def write_tar(path: Path, files: dict[str, bytes] | list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items() if isinstance(files, dict) else files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def on_rank(module: ImageTextDataModule, rank: int, num_ranks: int) -> ImageTextDataModule:
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    module.trainer = SimpleNamespace(  # type: ignore[assignment]
        world_size=num_ranks, global_rank=rank, strategy=strategy
    )
    return module


def keys(module: ImageTextDataModule, num_batches: int) -> list[list[str]]:
    """Keys of the next training batches, over as many iterations as that takes."""
    stream = module.train_dataloader()
    found: list[list[str]] = []
    while len(found) < num_batches:
        found += [batch.keys for batch in islice(stream, num_batches - len(found))]
    return found


def global_keys(make: MakeModule, num_ranks: int, num_batches: int, batch_size: int) -> list[list[str]]:
    ranks = [
        keys(on_rank(make(batch_size=batch_size), rank, num_ranks), num_batches) for rank in range(num_ranks)
    ]
    return [sum(parts, []) for parts in zip(*ranks, strict=True)]
