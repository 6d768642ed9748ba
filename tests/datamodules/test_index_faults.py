"""Shards and indices that aren't what they were."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex, read_sample
from datamodules.scanning import ROW
from tests.datamodules.foreign_shards import image, indexed, write_foreign


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return write_foreign(tmp_path / "foreign")


def test_a_missing_shard_is_named(foreign: Path) -> None:
    index = indexed(foreign)
    (foreign / "00001.tar").unlink()
    with pytest.raises(ValueError, match=r"shard .*00001\.tar is missing"):
        index.verify()


def test_a_shard_of_another_size_is_named(foreign: Path) -> None:
    index = indexed(foreign)
    with (foreign / "00000.tar").open("ab") as file:
        file.write(b"\0" * 512)
    with pytest.raises(ValueError, match=r"shard .*00000\.tar has \d+ bytes, but \d+ when it was indexed"):
        index.verify()


def test_another_shard_of_the_same_size_is_named_at_start(foreign: Path) -> None:
    index = indexed(foreign)
    shard, other = foreign / "00001.tar", foreign / "other"
    with tarfile.open(shard) as old, tarfile.open(other, "w") as new:
        for info in old:
            info.mtime += 1
            new.addfile(info, old.extractfile(info))
    assert shard.stat().st_size == other.stat().st_size
    other.rename(shard)
    with pytest.raises(
        ValueError, match=r"shard .*00001\.tar was changed after it was indexed, though it has"
    ):
        index.verify()


def test_a_replaced_sample_is_noticed_when_it_is_read(foreign: Path) -> None:
    index = indexed(foreign)
    path = foreign / "00001.tar"
    data = bytearray(path.read_bytes())
    start = index[9].text.start
    data[start - 512 + 8] = ord("x")  # the name of one caption
    path.write_bytes(data)
    index.verify()  # others are in place: damage, not another shard
    file = index.open_shard(1)
    with pytest.raises(BrokenSampleError, match="its shard was changed after it was indexed"):
        read_sample(file, index[9])
    assert read_sample(file, index[10]).image == image(44, 31)


def test_a_sample_behind_the_end_of_its_shard_is_broken(foreign: Path) -> None:
    index = indexed(foreign)
    path = foreign / "00001.tar"
    path.write_bytes(path.read_bytes()[: index[11].image.start + 10])
    with pytest.raises(BrokenSampleError, match="its shard is cut short"):
        read_sample(index.open_shard(1), index[11])


def test_a_folder_without_an_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m datamodules index"):
        ShardIndex.load(tmp_path)


def test_an_index_of_another_version_says_what_to_do(foreign: Path) -> None:
    (foreign / "index.json").write_text('{"version": 1}')
    with pytest.raises(
        ValueError, match=r"has version 1, expected 2; run `python -m datamodules index .*foreign"
    ):
        ShardIndex.load(foreign)
    assert len(indexed(foreign)) == 12


@pytest.mark.parametrize("name", ["index.json", "index-*.rows", "index-*.keys", "index-*.widths"])
def test_a_torn_index_says_what_to_do(foreign: Path, name: str) -> None:
    indexed(foreign)
    (path,) = foreign.glob(name)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"the index of .* is damaged .*; run `python -m datamodules index"):
        ShardIndex.load(foreign)


@pytest.mark.parametrize("name", ["rows", "keys", "widths", "heights"])
def test_a_flipped_bit_in_an_index_is_found_at_start(foreign: Path, name: str) -> None:
    indexed(foreign)
    (path,) = foreign.glob(f"index-*.{name}")
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"the index of .* is damaged \(its {name} have another checksum\)"):
        ShardIndex.load(foreign).verify()


def test_a_row_of_an_unsummed_index_that_points_to_no_key_is_one_sentence(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.index._MAX_SUMMED_BYTES", 0)
    indexed(foreign)
    (path,) = foreign.glob("index-*.rows")
    rows = np.fromfile(path, ROW)
    rows["key_end"][7] = 2**63
    rows.tofile(path)
    index = ShardIndex.load(foreign)
    index.verify()
    for sample in (7, 8):
        with pytest.raises(ValueError, match=rf"the index of {foreign} is damaged \(a row of it points to"):
            index[sample]


def test_a_replaced_sample_is_noticed_without_its_image(foreign: Path) -> None:
    index = indexed(foreign)
    whole, row = read_sample(index.open_shard(1), index[9]), index[9]
    assert read_sample(index.open_shard(1), row, with_image=False) == whole._replace(image=b"")
    path = foreign / "00001.tar"
    data = bytearray(path.read_bytes())
    data[row.image.start - 512 + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenSampleError, match="its shard was changed after it was indexed"):
        read_sample(index.open_shard(1), row, with_image=False)
