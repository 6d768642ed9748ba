from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.engines import Processes
from datamodules.indexing import SCANS, silent
from datamodules.shard_dataset import index_user_shards
from tests.datamodules.conftest import write_tar
from tests.datamodules.drawn import encoded, texture


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A shard of 4 samples in a subfolder each for `train` and `val`."""
    for split in ("train", "val"):
        folder = tmp_path / "in" / split
        folder.mkdir(parents=True)
        files = {f"{k}.png": encoded(texture(k)) for k in range(4)} | {f"{k}.txt": b"x" for k in range(4)}
        write_tar(folder / "00000.tar", files)
    return tmp_path / "in"


def make(place: Path, out: Path, val_fraction: float | None = None) -> dict[str, int]:
    made = index_user_shards(
        str(place), out, val_fraction, max_left_out=0.1, engine=Processes(), progress=silent
    )
    return made["counts"]


def test_a_split_that_is_indexed_is_not_scanned_again(shards: Path, tmp_path: Path) -> None:
    whole = (shards / "val" / "00000.tar").read_bytes()
    (shards / "val" / "00000.tar").write_bytes(b"\1" * len(whole))
    with pytest.raises(ValueError, match=r"val/00000\.tar is no complete tar file"):
        make(shards, tmp_path / "out")
    index = tmp_path / "out" / "train" / "index.json"
    before = index.stat().st_ino  # another one if it is written again
    (shards / "val" / "00000.tar").write_bytes(whole)
    (tmp_path / "out" / "train" / SCANS).mkdir()  # of a run that was killed once the index was there
    assert make(shards, tmp_path / "out") == {"train": 4, "val": 4}
    assert index.stat().st_ino == before
    assert not list((tmp_path / "out").rglob(SCANS))


def test_a_share_that_holds_out_nothing_is_told_from_shards_without_samples(
    shards: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"none of 4 samples in 1 shards falls to .*val; .* or 0 for one"):
        make(shards / "train", tmp_path / "out", 1e-9)
