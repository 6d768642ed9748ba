"""An index on disk: written shard by shard, opened without being read."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import pytest

from datamodules.index import ShardIndex, ShardScan, read_member, read_sample, scan_shard, write_index
from datamodules.storage import LocalFile
from tests.datamodules.conftest import write_tar
from tests.datamodules.foreign_shards import image, indexed, scans, write_foreign


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return write_foreign(tmp_path / "foreign")


def keys_of(index: ShardIndex) -> list[str]:
    return [index[number].key for number in range(len(index))]


def test_an_index_is_a_header_and_columns_beside_the_shards(foreign: Path) -> None:
    before = {path.name: path.read_bytes() for path in foreign.iterdir()}
    index = indexed(foreign)
    assert len(index) == 12
    assert index.left_out == []
    columns = {f"index-{index.fingerprint}.{name}" for name in ("rows", "keys", "widths", "heights")}
    assert {path.name for path in foreign.iterdir()} == {*before, *columns, "index.json"}
    assert all((foreign / name).read_bytes() == data for name, data in before.items())


def test_offsets_lead_to_the_bytes_and_sizes_come_from_the_image(foreign: Path) -> None:
    index = indexed(foreign)
    row = index[9]
    with index.shard_path(row.shard).open("rb") as file:
        assert read_member(file.fileno(), row.image) == image(43, 31)
        assert read_member(file.fileno(), row.text) == b"text 13"
        assert json.loads(read_member(file.fileno(), row.meta) or b"")["caption"] == "picture 13"
        assert read_member(file.fileno(), index[8].text) is None
    assert (row.width, row.height) == (43, 31)
    assert index.widths.tolist() == [40, 41, 42, 43, 44, 45] * 2
    assert index.heights.tolist() == [30] * 6 + [31] * 6
    assert index.shard_starts.tolist() == [0, 6, 12]
    assert index.shards_of(np.array([0, 5, 6, 11])).tolist() == [0, 0, 1, 1]
    assert index[-1] == index[11]
    with pytest.raises(IndexError):
        index[12]


def test_a_sample_is_read_whole_in_one_go(foreign: Path) -> None:
    index = indexed(foreign)

    class Counting(LocalFile):
        reads = 0

        def read(self, start: int, num_bytes: int) -> bytes:
            Counting.reads += 1
            return super().read(start, num_bytes)

    file = Counting(str(foreign / "00001.tar"))
    sample = read_sample(file, index[9])
    assert sample[:2] == (image(43, 31), b"text 13")
    assert json.loads(sample.meta or b"")["caption"] == "picture 13"
    assert read_sample(file, index[8]).text is None
    assert Counting.reads == 2


def test_files_of_a_sample_may_lie_apart(tmp_path: Path) -> None:
    other = {"other.bin": bytes(300_000)}
    write_tar(tmp_path / "0.tar", {"a.txt": b"words", **other, "a.jpg": image(9, 8)})
    file = LocalFile(str(tmp_path / "0.tar"))
    assert read_sample(file, indexed(tmp_path)[0]) == (image(9, 8), b"words", None)


def test_keys_that_repeat_between_shards_get_the_shards_name(foreign: Path) -> None:
    assert [indexed(foreign)[k].key for k in (0, 6)] == ["00000/000000000", "00001/000000000"]


def test_shards_of_one_name_get_their_folders_name_too(foreign: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(foreign / "00000.tar", tmp_path / folder / "0.tar")
    write_index(tmp_path, [scan_shard(tmp_path / folder / "0.tar") for folder in ("a", "b")])
    keys = keys_of(ShardIndex.load(tmp_path))
    assert keys[::6] == ["a/0/000000000", "b/0/000000000"]
    assert len(set(keys)) == 12


def test_repeated_keys_are_found_also_far_apart(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scans(foreign)[0]
    numbers = np.arange(6, dtype="<u8") + 1

    def part(number: int, keys: list[bytes]) -> ShardScan:
        rows = first.rows.copy()
        rows["key_end"] = np.cumsum([len(key) for key in keys])
        return replace(first, location=f"{number}.tar", rows=rows, keys=b"".join(keys))

    different = [part(n, [f"key {n} {k}".encode() * int(numbers[k]) for k in range(6)]) for n in range(40)]
    monkeypatch.setattr("datamodules.index_files._HASHES_AT_ONCE", 32)  # several passes
    for keys, unique in ((b"another", True), (b"key 3 0", False)):
        last = part(40, [keys, *(b"x" * k for k in range(1, 6))])
        write_index(foreign, [*different, last])
        assert (ShardIndex.load(foreign)[0].key == "key 0 0") is unique


def test_a_split_keeps_some_samples(foreign: Path, tmp_path: Path) -> None:
    write_index(tmp_path, scans(foreign), lambda key: key.endswith(("00000/000000004", "00001/000000001")))
    index = ShardIndex.load(tmp_path)
    assert keys_of(index) == ["00000/000000004", "00001/000000001"]
    assert index.widths.tolist() == [44, 41]
    index.verify()


def test_part_of_an_index_can_be_written_again(foreign: Path, tmp_path: Path) -> None:
    index = indexed(foreign)
    write_index(tmp_path, [index.part(np.array([0, 3])), index.part(np.array([7, 8, 11]))])
    subset = ShardIndex.load(tmp_path)
    subset.verify()
    assert [subset[k]._replace(shard=0) for k in range(5)] == [
        index[k]._replace(shard=0) for k in (0, 3, 7, 8, 11)
    ]
    with pytest.raises(ValueError, match="samples 5 and 6 are not of one shard"):
        index.part(np.array([5, 6]))


def test_what_was_left_out_is_kept(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"a.jpg": image(9, 9), "a.txt": b"words", "b.txt": b"words"})
    index = indexed(tmp_path)
    ((key, cause),) = index.left_out
    assert (key, cause[:8]) == ("b", "0 images")


def test_an_index_without_samples_names_causes(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{k}.txt": b"words" for k in range(4)})
    with pytest.raises(ValueError, match=r"no usable sample for .* in 1 shards \(0: 0 images .*; 1: .*; 2: "):
        write_index(tmp_path, scans(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["0.tar"]


def test_the_fingerprint_is_of_the_samples_not_of_their_place(foreign: Path, tmp_path: Path) -> None:
    fingerprint = indexed(foreign).fingerprint
    moved = foreign.rename(tmp_path / "elsewhere")
    ShardIndex.load(moved).verify()
    assert indexed(moved).fingerprint == fingerprint
    write_tar(moved / "00001.tar", {"a.jpg": image(9, 9), "a.txt": b"words"})
    assert indexed(moved).fingerprint != fingerprint


def test_a_new_index_replaces_the_old_one_which_stays_readable_where_it_is_open(foreign: Path) -> None:
    old = indexed(foreign)
    (foreign / "index-of-mine.keys").write_text("mine")
    (foreign / "00001.tar").unlink()
    new = indexed(foreign)
    assert len(list(foreign.glob("index-*"))) == 4 + 1
    assert (foreign / "index-of-mine.keys").exists()
    assert (len(old), len(new)) == (12, 6)
    assert old[11].width == 45


def many(scan: ShardScan, num_shards: int) -> Iterator[ShardScan]:
    """Simulated shards of 10,000 samples."""
    length = 10_000
    keys = np.char.mod("%09d", np.arange(length)).astype("S9")
    rows = np.resize(scan.rows, length)
    rows["key_end"] = 9 * (np.arange(length) + 1)
    sizes = np.resize(scan.widths, length), np.resize(scan.heights, length)
    big = ShardScan("00000.tar", scan.num_bytes, rows, *sizes, keys.tobytes(), [])
    yield from islice(repeat(big), num_shards)


def test_writing_holds_one_shard_at_a_time(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.index_files._HASHES_AT_ONCE", 2**13)
    scan, peaks = scans(foreign)[0], []
    for num_shards in (2, 12):
        tracemalloc.start()
        write_index(tmp_path, many(scan, num_shards))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000 < 10**7


def test_opening_a_large_index_and_reading_rows_maps_nothing_into_memory(
    foreign: Path, tmp_path: Path
) -> None:
    write_index(tmp_path, many(scans(foreign)[0], 100))
    tracemalloc.start()
    start = time.perf_counter()
    index = ShardIndex.load(tmp_path)
    row = index[765_432]
    elapsed = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(index), row.key[-9:], row.shard) == (10**6, "000005432", 76)
    assert peak < 300_000
    assert elapsed < 0.5
    if sys.platform == "linux":
        assert str(tmp_path / "index-") not in Path("/proc/self/maps").read_text()
        assert index.widths[765_432] == row.width
        assert str(tmp_path / "index-") in Path("/proc/self/maps").read_text()


def test_pickling_an_index_carries_its_path_only(foreign: Path) -> None:
    index = indexed(foreign)
    pickled = pickle.dumps(index)
    assert len(pickled) < 1000
    assert [pickle.loads(pickled)[k] for k in range(12)] == [index[k] for k in range(12)]


def test_a_pickled_index_does_not_turn_into_another(foreign: Path) -> None:
    pickled = pickle.dumps(indexed(foreign))
    (foreign / "00001.tar").unlink()
    indexed(foreign)
    with pytest.raises(ValueError, match="was changed while it was in use; start again"):
        pickle.loads(pickled)
