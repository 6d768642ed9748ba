"""Finding shards, here and at URLs, and indexing them, also after an interruption."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import fsspec
import pytest

from datamodules.__main__ import main
from datamodules.engines import Processes
from datamodules.index import ShardIndex, read_sample, scan_shard
from datamodules.indexing import index_directory, index_shards
from tests.datamodules.foreign_shards import image, write_foreign
from tests.datamodules.http_server import RangeServer, serve


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return write_foreign(tmp_path / "foreign")


@pytest.fixture
def server(foreign: Path) -> Iterator[RangeServer]:
    with serve(foreign) as server:
        yield server


@pytest.fixture
def memory(foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The shards at a URL, and an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = fsspec.filesystem("memory")
    for path in foreign.glob("*.tar"):
        files.pipe_file(f"/bucket/{path.name}", path.read_bytes())
    yield "memory://bucket"
    files.rm("/bucket", recursive=True)


def rows_of(index: ShardIndex) -> list[Any]:
    return [index[number] for number in range(len(index))]


def test_a_folder_can_be_divided_by_the_hash_of_keys(foreign: Path) -> None:
    parts = index_directory(foreign, val_fraction=0.3)
    keys = {split: {row.key for row in rows_of(index)} for split, index in parts.items()}
    assert keys["train"] | keys["val"] == {f"{s:05d}/{k:09d}" for s in range(2) for k in range(6)}
    assert not keys["train"] & keys["val"]
    assert keys["val"]
    parts["val"].verify()
    assert index_directory(foreign, val_fraction=0.3)["val"].fingerprint == parts["val"].fingerprint


def test_the_held_out_part_of_a_shard_does_not_depend_on_other_shards(foreign: Path) -> None:
    def held_out() -> set[tuple[int, int]]:
        return {
            (row.shard, row.image.start) for row in rows_of(index_directory(foreign, val_fraction=0.5)["val"])
        }

    both = held_out()
    (foreign / "00001.tar").unlink()
    assert held_out() == {(shard, start) for shard, start in both if shard == 0}


def test_subfolders_of_shards_become_splits(foreign: Path, tmp_path: Path) -> None:
    for split, shard in (("train", 0), ("val", 1)):
        (foreign / split).mkdir()
        (foreign / f"{shard:05d}.tar").rename(foreign / split / "00000.tar")
    assert {split: len(index) for split, index in index_directory(foreign).items()} == {"train": 6, "val": 6}
    indices = index_directory(foreign, out=tmp_path / "out")
    assert indices["val"].directory == tmp_path / "out" / "val"
    indices["val"].verify()
    with pytest.raises(ValueError, match="val_fraction divides one folder of shards"):
        index_directory(foreign, val_fraction=0.1)


def test_patterns_name_shards(foreign: Path, tmp_path: Path) -> None:
    write_foreign(foreign, 4)
    for pattern, num_samples in (("{00001..00003}.tar", 18), ("0000[02]*.tar", 12), ("00001.tar", 6)):
        index = index_directory(f"{foreign}/{pattern}", out=tmp_path / "out")["out"]
        assert len(index) == num_samples
        index.verify()
    assert index_directory(f"{foreign}/00001.tar")["foreign"].directory == foreign


def test_patterns_that_name_too_much_or_nothing_are_refused(foreign: Path, tmp_path: Path) -> None:
    shutil.copytree(foreign, tmp_path / "other")
    with pytest.raises(ValueError, match=r"names shards in 2 folders; say by --out where to index them"):
        index_directory(f"{tmp_path}/{{foreign,other}}/00000.tar")
    with pytest.raises(ValueError, match=r"shard .*00002\.tar is missing; .*leave it out of the pattern"):
        index_directory(f"{foreign}/{{00000..00002}}.tar")
    with pytest.raises(ValueError, match=r"no shards match .*/7\*\.tar"):
        index_directory(f"{foreign}/7*.tar")
    with pytest.raises(ValueError, match="a shard is named twice among"):
        index_directory(f"{foreign}/{{00000,00000}}.tar")


def test_a_web_server_without_listings_needs_a_pattern(server: RangeServer, tmp_path: Path) -> None:
    server.has_listings = False
    with pytest.raises(OSError, match=r"can't be listed \(.*403.*name them by a pattern: http://.*\.tar"):
        index_directory(server.url, out=tmp_path / "out")
    index = index_directory(f"{server.url}/{{00000..00001}}.tar", out=tmp_path / "out")["out"]
    assert len(index) == 12


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.tar shards in .* or in its subfolders$"):
        index_directory(tmp_path)
    (tmp_path / "0.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"no \.tar shards in .*compressed ones must be unpacked first"):
        index_directory(tmp_path)


def test_compressed_shards_beside_others_are_not_passed_over(tmp_path: Path) -> None:
    for name in ("0.tar", "0.tar.gz", "1.tgz"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=r"holds compressed shards too \(1\.tgz\).*unpack them"):
        index_directory(tmp_path)


def test_indexing_in_processes_gives_the_same_index(foreign: Path) -> None:
    alone = index_directory(foreign)["foreign"].fingerprint
    assert index_directory(foreign, num_workers=2)["foreign"].fingerprint == alone


class Interrupted:
    """An engine that is stopped after some jobs."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, function: Callable[[Any], Any], jobs: Sequence[Any], /) -> Iterator[Any]:
        yield from islice(map(function, jobs), self.after)
        raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_with_the_missing_shards(foreign: Path, tmp_path: Path) -> None:
    shards = sorted(write_foreign(foreign, 5).glob("*.tar"))
    index_shards(shards, {str(tmp_path / "straight"): None}, engine=Processes())
    target = tmp_path / "resumed"
    with pytest.raises(KeyboardInterrupt):
        index_shards(shards, {str(target): None}, engine=Interrupted(3))
    write_foreign(foreign, 1)  # of those that were done, one is new
    done: list[int] = []
    index_shards(shards, {str(target): None}, engine=Processes(), progress=lambda what, n, of: done.append(n))
    assert done == [2, 1, 1, 1]
    assert {path.name[:6] for path in target.iterdir()} == {"index-", "index."}
    assert ShardIndex.load(target).fingerprint == ShardIndex.load(tmp_path / "straight").fingerprint


def test_shards_behind_a_web_server_are_indexed_and_read(
    foreign: Path, server: RangeServer, tmp_path: Path
) -> None:
    here = index_directory(foreign)["foreign"]
    for source in (server.url, f"{server.url}/{{00000..00001}}.tar"):
        index = index_directory(source, out=tmp_path / "out")["out"]
        assert rows_of(index) == rows_of(here)
        assert index.fingerprint == here.fingerprint  # so training can go on elsewhere
        index.verify()
    server.gets.clear()
    assert read_sample(index.open_shard(1), index[9])[:2] == (image(43, 31), b"text 13")
    assert [path for path, _ in server.gets] == ["/00001.tar"]
    (foreign / "00000.tar").unlink()
    with pytest.raises(ValueError, match=r"shard http://127\.0\.0\.1:\d+/00000\.tar is missing"):
        index.verify()
    with pytest.raises(ValueError, match=r"http://.* is not on this machine; copy the shards here"):
        index.shard_path(0)


def test_a_remote_shard_is_fetched_once_for_its_scan(server: RangeServer) -> None:
    scan_shard(f"{server.url}/00000.tar")
    assert len(server.gets) == 1


def test_a_server_without_ranges_is_refused_when_its_shards_are_indexed(
    server: RangeServer, tmp_path: Path
) -> None:
    server.has_ranges = False
    with pytest.raises(
        OSError, match=r"the server of http://.*\.tar sends whole files instead of byte ranges"
    ):
        index_directory(server.url, out=tmp_path / "out")


def test_a_network_error_while_scanning_is_no_broken_sample(
    server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.storage._FIRST_PAUSE_S", 0.0)
    for name in ("_READ_AHEAD", "_BUFFER"):  # a request for every little thing
        monkeypatch.setattr(f"datamodules.scanning.{name}", 512)
    scan_shard(f"{server.url}/00000.tar")
    assert len(server.gets) > 12
    for number in range(12):
        server.gets.clear()
        server.failing = range(number, number + 3)  # all attempts of one read
        with pytest.raises(OSError, match=r"00000\.tar failed \(ClientResponseError: 503"):
            scan_shard(f"{server.url}/00000.tar")


def test_an_index_may_lie_at_a_url_beside_its_shards(memory: str, foreign: Path) -> None:
    index = index_directory(memory)["bucket"]
    files = fsspec.filesystem("memory")
    assert files.exists("/bucket/index.json")
    assert rows_of(index) == rows_of(index_directory(foreign)["foreign"])
    assert index.location(1) == "memory://bucket/00001.tar"
    index.verify()
    assert read_sample(index.open_shard(1), index[9]).text == b"text 13"
    files.rm(f"/bucket/index-{index.fingerprint}.keys")  # a copy is on this machine
    assert rows_of(pickle.loads(pickle.dumps(index))) == rows_of(index)
    shutil.rmtree(index.directory)
    with pytest.raises(ValueError, match=r"the index of memory://bucket is damaged \(.*keys"):
        ShardIndex.load(memory)


def test_a_remote_index_that_was_written_anew_is_fetched_anew(memory: str) -> None:
    old = index_directory(memory)["bucket"]
    fsspec.filesystem("memory").rm("/bucket/00001.tar")
    assert len(index_directory(memory)["bucket"]) == 6
    assert len(ShardIndex.load(memory)) == 6
    assert len(old) == 12
    with pytest.raises(ValueError, match="was changed while it was in use"):
        pickle.loads(pickle.dumps(old))


def test_a_url_without_an_index_or_that_cannot_be_written_says_what_to_do(
    memory: str, server: RangeServer, foreign: Path
) -> None:
    with pytest.raises(ValueError, match=r"no index in memory://bucket; make one of existing shards with"):
        ShardIndex.load(memory)
    with pytest.raises(ValueError, match=r"http://.* can't be written .*; give a folder .* by --out"):
        index_directory(server.url)


def test_the_command_takes_urls_and_patterns(
    server: RangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["index", f"{server.url}/{{00000..00001}}.tar", f"--out={out}", "--val_fraction=0.3"]
    assert main([*arguments, "--num_workers=1"]) == 0
    assert capsys.readouterr().out == "train: 9 samples, val: 3 samples\n"
    assert ShardIndex.load(out / "val").location(0) == f"{server.url}/00000.tar"
