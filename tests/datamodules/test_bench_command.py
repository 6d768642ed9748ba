"""The loader's benchmark measures every loader on the same images, and big indices in little time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.__main__ import main
from datamodules.bench.loaders import LOADERS, BenchData
from datamodules.bench.measure import write_loose_files
from datamodules.bench.photos import Photos, photo_dataset
from datamodules.bench.scale import simulate_index, use_index
from datamodules.index import ShardIndex
from datamodules.packing import pack_dataset

OPEN_FILES = Path("/proc/self/fd")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> BenchData:
    root = tmp_path_factory.mktemp("bench") / "photos"
    pack_dataset(root, photo_dataset(16), samples_per_shard=8)
    made = BenchData(root=root, loose=root.parent / "loose", size=32, batch_size=4)
    write_loose_files(made)
    return made


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("name", LOADERS)
def test_every_loader_reads_every_image(data: BenchData, name: str, num_workers: int) -> None:
    loader = LOADERS[name](data, num_workers)
    assert [loader.read(), loader.read()] == [16, 16]
    loader.close()


@pytest.mark.skipif(not OPEN_FILES.is_dir(), reason="only Linux lists a process's open files")
@pytest.mark.parametrize("name", ["bare decode", "bare decode, ours"])
def test_bare_decoding_closes_its_files(data: BenchData, name: str) -> None:
    before = len(list(OPEN_FILES.iterdir()))
    LOADERS[name](data, 0).read()
    assert len(list(OPEN_FILES.iterdir())) <= before + 4  # the index's columns, until they are collected


def test_photographs_are_drawn_by_their_number() -> None:
    one, again, other = Photos(9)[3], Photos(9)[3], Photos(9)[4]
    assert one == again
    assert one.image != other.image
    assert 256 <= min(one.width, one.height) <= max(one.width, one.height) <= 512


def test_the_command_writes_what_it_measured(
    data: BenchData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--size=32", "--batch_size=4", "--workers=0", "--rounds=1", "--samples=[]"]
    assert main(["bench", str(data.root), f"--output={tmp_path}", *options]) == 0
    record = json.loads((tmp_path / "bench.json").read_text())
    assert [row["loader"] for row in record["loaders"]] == list(LOADERS)
    assert all(row["images_per_s"] > 0 and row["first_batch_s"] > 0 for row in record["loaders"])
    assert record["loaders"][0]["share"] == 1
    assert record["scale"] == []
    assert record["options"]["workers"] == [0]
    assert (tmp_path / "bench.md").read_text() in capsys.readouterr().out


def test_a_simulated_index_has_as_many_samples_as_asked_for_and_is_read(tmp_path: Path) -> None:
    written = simulate_index(tmp_path / "many", 400)
    index = ShardIndex.load(tmp_path / "many" / "train")
    assert len(index) == 400
    assert written["index_mb"] > 0
    used = use_index(tmp_path / "many")
    assert used["start_s"] > 0
    assert used["resume_s"] > 0


@pytest.mark.parametrize("option", ["--workers=0,many", "--workers=-1", "--samples=[1e6]"])
def test_what_is_no_list_of_numbers_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", f"--output={tmp_path}", option]) == 1
    assert "workers and samples must be numbers, as 0,1,2, got " in capsys.readouterr().err


def test_a_size_that_no_model_has_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", f"--output={tmp_path}", "--size=100"]) == 1
    assert "size must be a multiple of 16" in capsys.readouterr().err
