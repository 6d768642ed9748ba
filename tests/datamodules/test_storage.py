"""Reading by offset, from local disks and from URLs."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from datamodules.listing import file_sizes, folders_in, sizes_in
from datamodules.storage import LocalFile, RemoteFile, location_of, open_file
from tests.datamodules.http_server import RangeServer, serve

DATA = bytes(range(256)) * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    (tmp_path / "a.bin").write_bytes(DATA)
    (tmp_path / "b.bin").write_bytes(DATA[:10])
    (tmp_path / "deep").mkdir()
    with serve(tmp_path) as server:
        yield server


@pytest.fixture
def memory() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    files.pipe({"/shards/a.bin": DATA, "/shards/b.bin": DATA[:10], "/shards/deep/c.bin": b"c"})
    yield "memory://shards"
    files.rm("/shards", recursive=True)


def test_every_kind_of_place_gives_the_same_bytes(server: RangeServer, memory: str, tmp_path: Path) -> None:
    for place in (str(tmp_path), f"file://{tmp_path}", memory, server.url):
        file = open_file(location_of(f"{place}/a.bin"))
        assert isinstance(file, RemoteFile if place in (memory, server.url) else LocalFile)
        assert file.size == len(DATA)
        assert file.read(300, 5) == DATA[300:305]
        assert file.read(10, 1000) == DATA[10:1010]
        assert file.read(len(DATA) - 3, 3) == DATA[-3:]
        file.close()


def test_only_the_wanted_range_is_fetched_and_once(server: RangeServer) -> None:
    file = RemoteFile(f"{server.url}/a.bin")
    file.read(1000, 500)
    assert file.read(1200, 100) == DATA[1200:1300]
    assert server.gets == [("/a.bin", "bytes=1000-1499")]


def test_a_pass_reads_ahead_up_to_the_end(server: RangeServer) -> None:
    file = RemoteFile(f"{server.url}/a.bin", read_ahead=4096)
    assert b"".join(file.read(start, 64) for start in range(0, len(DATA), 64)) == DATA
    assert [wanted for _, wanted in server.gets] == ["bytes=0-4095", "bytes=4096-8191", "bytes=8192-10239"]


def test_errors_that_pass_are_tried_again(server: RangeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.storage._FIRST_PAUSE_S", 0.01)
    server.failing = range(2)
    assert RemoteFile(f"{server.url}/a.bin").read(5, 2) == DATA[5:7]
    server.failing = range(3, 99)
    with pytest.raises(OSError, match=r"http://.*/a\.bin failed \(ClientResponseError: 503"):
        RemoteFile(f"{server.url}/a.bin").read(5, 2)
    assert len(server.gets) == 3 + 3


def test_a_server_without_ranges_is_refused(server: RangeServer) -> None:
    server.has_ranges = False
    with pytest.raises(
        OSError, match=r"the server of .*/a\.bin sends whole files instead of byte ranges; copy"
    ):
        RemoteFile(f"{server.url}/a.bin").read(5, 2)


def test_a_missing_package_or_protocol_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ValueError, match=r"s3://bucket/a\.tar can't be opened: Install s3fs to access S3"):
        open_file("s3://bucket/a.tar").read(0, 1)
    with pytest.raises(ValueError, match=r"foo://a\.tar can't be opened: Protocol not known: foo"):
        open_file("foo://a.tar").read(0, 1)


def test_a_remote_file_goes_on_in_a_forked_process(server: RangeServer) -> None:
    file = RemoteFile(f"{server.url}/a.bin")
    file.read(0, 1)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    child = context.Process(target=lambda: there.send(file.read(7, 3)))
    child.start()
    assert here.poll(30)
    assert here.recv() == DATA[7:10]
    child.join()


def test_folders_are_listed_alike_everywhere(server: RangeServer, memory: str, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    for place in (str(tmp_path), memory):
        assert sizes_in(place) == {"a.bin": len(DATA), "b.bin": 10}
        assert folders_in(place) == ["deep"]
        assert sizes_in(f"{place}/nowhere") == {}
    (tmp_path / "dangling").unlink()
    assert sizes_in(server.url) == {"a.bin": None, "b.bin": None}
    assert folders_in(server.url) == ["deep"]


@pytest.mark.parametrize("has_listings", [True, False])
def test_sizes_say_what_is_missing(
    server: RangeServer, memory: str, tmp_path: Path, has_listings: bool
) -> None:
    server.has_listings = has_listings
    places = [str(tmp_path), memory, server.url]
    names = ("a.bin", "b.bin", "none.bin", "no folder/a.bin", "no\0name")
    locations = [f"{place}/{name}" for place in places for name in names]
    assert file_sizes(locations) == [len(DATA), 10, None, None, None] * len(places)
