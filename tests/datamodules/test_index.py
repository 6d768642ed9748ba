"""Shards of others, and shards that are not what they were."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from datamodules.index import ShardIndex, read_member, scan_shard, tar_members
from datamodules.packing import index_directory
from tests.datamodules.conftest import write_tar


def image(width: int, height: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (width % 256, height % 256, 0)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Two shards as img2dataset writes them, with its side files, each counting its keys from zero."""
    for shard in range(2):
        files: dict[str, bytes] = {}
        for k in range(6):
            key = f"{k:09d}"
            files[f"{key}.jpg"] = image(40 + k, 30 + shard)
            files[f"{key}.json"] = json.dumps(
                {"caption": f"picture {shard}{k}", "width": 1, "height": 1}
            ).encode()
            if k % 2:
                files[f"{key}.txt"] = f"text {shard}{k}".encode()
        write_tar(tmp_path / f"{shard:05d}.tar", files)
        (tmp_path / f"{shard:05d}_stats.json").write_text("{}")
    return tmp_path


def test_foreign_shards_are_indexed_where_they_lie(foreign: Path) -> None:
    before = {path.name: path.read_bytes() for path in foreign.iterdir()}
    index = index_directory(foreign)[foreign.name]
    assert len(index) == 12
    assert index.left_out == []
    columns = {f"index-{index.fingerprint}.{name}" for name in ("rows", "keys", "widths", "heights")}
    assert {path.name for path in foreign.iterdir()} == {*before, *columns, "index.json"}
    assert all((foreign / name).read_bytes() == data for name, data in before.items())


def test_keys_that_repeat_between_shards_get_the_shards_name(foreign: Path) -> None:
    index = index_directory(foreign)[foreign.name]
    assert [index[k].key for k in (0, 6)] == ["00000/000000000", "00001/000000000"]


def test_offsets_lead_to_the_bytes_and_sizes_come_from_the_image(foreign: Path) -> None:
    index = index_directory(foreign)[foreign.name]
    row = index[9]
    with index.shard_path(row.shard).open("rb") as file:
        assert read_member(file.fileno(), row.image) == image(43, 31)
        assert read_member(file.fileno(), row.text) == b"text 13"
        assert json.loads(read_member(file.fileno(), row.meta) or b"")["caption"] == "picture 13"
        assert read_member(file.fileno(), index[8].text) is None
    assert (row.width, row.height) == (43, 31)
    assert index.widths.tolist() == [40, 41, 42, 43, 44, 45] * 2


def test_a_folder_can_be_divided_by_the_hash_of_keys(foreign: Path) -> None:
    parts = index_directory(foreign, val_fraction=0.3)
    keys = {split: {index[k].key for k in range(len(index))} for split, index in parts.items()}
    assert keys["train"] | keys["val"] == {f"{s:05d}/{k:09d}" for s in range(2) for k in range(6)}
    assert not keys["train"] & keys["val"]
    assert keys["val"]
    parts["val"].verify()
    assert index_directory(foreign, val_fraction=0.3)["val"].fingerprint == parts["val"].fingerprint


def test_the_held_out_part_of_a_shard_does_not_depend_on_other_shards(foreign: Path) -> None:
    def held_out() -> set[tuple[int, int]]:
        index = index_directory(foreign, val_fraction=0.5)["val"]
        return {(row.shard, row.image.start) for row in (index[k] for k in range(len(index)))}

    both = held_out()
    (foreign / "00001.tar").unlink()
    assert held_out() == {(shard, start) for shard, start in both if shard == 0}


def test_an_index_without_samples_names_causes(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{k}.txt": b"words" for k in range(4)})
    with pytest.raises(ValueError, match=r"no usable sample for .* in 1 shards \(0: 0 images .*; 1: .*; 2: "):
        index_directory(tmp_path)


def test_subfolders_of_shards_become_splits(foreign: Path) -> None:
    for split, shard in (("train", 0), ("val", 1)):
        (foreign / split).mkdir()
        (foreign / f"{shard:05d}.tar").rename(foreign / split / "00000.tar")
    assert {split: len(index) for split, index in index_directory(foreign).items()} == {"train": 6, "val": 6}


def test_indexing_in_processes_gives_the_same_index(foreign: Path) -> None:
    alone = index_directory(foreign)[foreign.name].fingerprint
    assert index_directory(foreign, num_workers=2)[foreign.name].fingerprint == alone


def test_unusable_samples_are_left_out_and_named(tmp_path: Path) -> None:
    good = image(20, 10)
    write_tar(
        tmp_path / "0.tar",
        {
            "good.jpg": good,
            "good.txt": b"fine",
            "no-image.txt": b"words",
            "no-words.jpg": good,
            "torn.jpg": good[:20],
            "torn.txt": b"words",
            "two.jpg": good,
            "two.png": good,
            "two.txt": b"words",
            "folder/deep.seg.png": good,
        },
    )
    index = index_directory(tmp_path)[tmp_path.name]
    assert [index[k].key for k in range(len(index))] == ["good"]
    causes = dict(index.left_out)
    assert set(causes) == {"no-image", "no-words", "torn", "two", "folder/deep"}
    assert causes["no-words"] == "no caption"
    assert "unreadable image header" in causes["torn"]


def test_a_key_twice_in_a_shard_is_left_out(tmp_path: Path) -> None:
    once = [("a.jpg", image(9, 9)), ("a.txt", b"words")]
    write_tar(tmp_path / "0.tar", [*once, ("b.jpg", image(9, 9)), ("b.txt", b"words"), *once])
    scan = scan_shard(tmp_path / "0.tar")
    assert scan.keys == b"b"
    assert scan.left_out == [("a", "its key occurs twice in the shard")]


def test_a_damaged_header_between_members_is_an_error(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{k}.txt": b"words" for k in range(9)})
    data = bytearray((tmp_path / "0.tar").read_bytes())
    data[4 * 1024 + 3] ^= 0xFF
    (tmp_path / "0.tar").write_bytes(data)
    with pytest.raises(ValueError, match=r"0\.tar is no complete tar file \(damaged header at byte 4096\)"):
        scan_shard(tmp_path / "0.tar")


@pytest.mark.parametrize("cut", [100, 512, 5000])
def test_a_shard_that_is_cut_short_is_an_error(foreign: Path, cut: int) -> None:
    shard = foreign / "00001.tar"
    end = max(
        member.start + member.num_bytes for parts in tar_members(shard).values() for member in parts.values()
    )
    shard.write_bytes(shard.read_bytes()[: end - cut])
    with pytest.raises(ValueError, match=r"00001\.tar is no complete tar file"):
        index_directory(foreign)


def test_a_shard_that_is_cut_between_members_is_an_error(foreign: Path) -> None:
    shard = foreign / "00001.tar"
    with tarfile.open(shard) as tar:
        last = tar.getmembers()[-1]
    shard.write_bytes(shard.read_bytes()[: last.offset])
    with pytest.raises(ValueError, match=r"00001\.tar is no complete tar file \(its end mark is missing\)"):
        scan_shard(shard)


def test_a_missing_shard_is_named(foreign: Path) -> None:
    index = index_directory(foreign)[foreign.name]
    (foreign / "00001.tar").unlink()
    with pytest.raises(ValueError, match=r"shard .*00001\.tar is missing"):
        index.verify()


def test_a_shard_of_another_size_is_named(foreign: Path) -> None:
    index = index_directory(foreign)[foreign.name]
    with (foreign / "00000.tar").open("ab") as file:
        file.write(b"\0" * 512)
    with pytest.raises(ValueError, match=r"shard .*00000\.tar has \d+ bytes, but \d+ when it was indexed"):
        index.verify()


def test_a_folder_without_an_index_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="python -m datamodules index"):
        ShardIndex.load(tmp_path)


@pytest.mark.parametrize("name", ["index.json", "index-*.rows", "index-*.keys", "index-*.widths"])
def test_a_damaged_index_says_what_to_do(foreign: Path, name: str) -> None:
    index_directory(foreign)
    (path,) = foreign.glob(name)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=r"the index of .* is damaged .*; run `python -m datamodules index"):
        ShardIndex.load(foreign)


def test_a_folder_without_shards_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.tar shards in"):
        index_directory(tmp_path)


def test_pickling_an_index_carries_its_path_only(foreign: Path) -> None:
    index = index_directory(foreign)[foreign.name]
    pickled = pickle.dumps(index)
    assert len(pickled) < 1000
    assert [pickle.loads(pickled)[k] for k in range(12)] == [index[k] for k in range(12)]


def test_a_pickled_index_does_not_turn_into_another(foreign: Path) -> None:
    pickled = pickle.dumps(index_directory(foreign)[foreign.name])
    (foreign / "00001.tar").unlink()
    index_directory(foreign)
    with pytest.raises(ValueError, match="was changed while it was in use; start again"):
        pickle.loads(pickled)
