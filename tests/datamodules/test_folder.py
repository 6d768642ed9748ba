from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from datamodules.folder import folder_dataset
from datamodules.index import ShardIndex, read_member
from datamodules.packing import pack_dataset


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for k in range(20):
        Image.new("RGB", (10 + k, 12)).save(folder / "deep" / f"photo {k}.v2.jpg")
        (folder / "deep" / f"photo {k}.v2.txt").write_text(f"picture {k}")
    Image.new("RGB", (7, 7)).save(folder / "plain.PNG")
    (folder / "plain.json").write_text('{"caption": "from json", "author": "me"}')
    return folder


def test_images_are_packed_as_they_are_with_their_captions(pictures: Path, tmp_path: Path) -> None:
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 21}
    index = ShardIndex.load(tmp_path / "out" / "train")
    rows = {index[k].key.rpartition("-")[0]: index[k] for k in range(len(index))}
    assert all("." not in row.key for row in rows.values())
    row = rows["plain"]
    with index.shard_path(row.shard).open("rb") as file:
        assert read_member(file.fileno(), row.image) == (pictures / "plain.PNG").read_bytes()
        record = json.loads(read_member(file.fileno(), row.meta) or b"")
    assert (record["caption"], record["author"], record["width"]) == ("from json", "me", 7)
    assert sorted(index.widths.tolist()) == [7, *range(10, 30)]


def test_names_that_differ_in_punctuation_only_stay_apart(tmp_path: Path) -> None:
    for name in ("a b.png", "a_b.png", "a.b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
        (tmp_path / name).with_suffix(".txt").write_text(name)
    source = folder_dataset(tmp_path, val_fraction=0.0).splits["train"]
    assert len({source[k].key for k in range(3)}) == 3
    assert {source[k].caption for k in range(3)} == {"a b.png", "a_b.png", "a.b.png"}


def test_images_of_one_name_and_two_formats_are_both_packed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for suffix in ("jpg", "png"):
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / f"cat.{suffix}")
    (tmp_path / "in" / "cat.txt").write_text("a cat")
    assert pack_dataset(tmp_path / "out", folder_dataset(tmp_path / "in", 0.0))["counts"] == {"train": 2}


def test_a_held_out_part_without_images_is_an_error(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "cat.png")
    with pytest.raises(ValueError, match=r"val_fraction = 1e-09 holds out none of the 1 images .* or 0 for"):
        folder_dataset(tmp_path, val_fraction=1e-9)


def test_the_held_out_part_does_not_change_when_files_are_added(pictures: Path) -> None:
    before = folder_dataset(pictures, val_fraction=0.3).splits["val"]
    Image.new("RGB", (4, 4)).save(pictures / "another.png")
    (pictures / "another.txt").write_text("new")
    after = folder_dataset(pictures, val_fraction=0.3).splits["val"]
    keys = [{source[k].key for k in range(len(source))} for source in (before, after)]
    assert keys[0] <= keys[1]
    assert all(key.startswith("another-") for key in keys[1] - keys[0])
    assert keys[0]


def test_changed_files_change_the_fingerprint(pictures: Path, tmp_path: Path) -> None:
    pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    Image.new("RGB", (40, 40)).save(pictures / "plain.PNG")
    with pytest.raises(ValueError, match="holds another data set"):
        pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))


def test_changed_captions_change_the_fingerprint(pictures: Path) -> None:
    before = folder_dataset(pictures, val_fraction=0.0).description["files"]
    assert folder_dataset(pictures, val_fraction=0.0).description["files"] == before
    (pictures / "plain.json").write_text('{"caption": "changed"}')
    assert folder_dataset(pictures, val_fraction=0.0).description["files"] != before


def test_sidecars_may_be_named_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, suffix in (("a", ".TXT"), ("b", ".Txt"), ("c", ".JSON")):
        Image.new("RGB", (4, 4)).save(tmp_path / "in" / f"{name}.JPG")
        words = f"picture {name}" if suffix != ".JSON" else json.dumps({"caption": f"picture {name}"})
        (tmp_path / "in" / f"{name}{suffix}").write_text(words)
    parts = folder_dataset(tmp_path / "in", val_fraction=0.0)
    source = parts.splits["train"]
    assert [source[k].caption for k in range(3)] == ["picture a", "picture b", "picture c"]
    (tmp_path / "in" / "a.TXT").write_text("changed")
    assert folder_dataset(tmp_path / "in", val_fraction=0.0).description != parts.description


def test_captions_that_are_not_utf8_are_left_out_and_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "deep" / "photo 3.v2.txt").write_bytes(b"caf\xe9")
    (pictures / "plain.json").write_bytes(b'{"caption": "caf\xe9"}')
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 19}
    assert result["left_out"]["train"] == [
        "plain.PNG: its .json is not UTF-8",
        "deep/photo 3.v2.jpg: its .txt is not UTF-8",
    ]


def test_a_dangling_link_is_left_out_and_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "gone.png").symlink_to(tmp_path / "nowhere.png")
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 21}
    assert result["left_out"]["train"][0].startswith("gone.png: ")


def test_a_folder_that_may_not_be_read_is_left_out_and_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "lost+found").mkdir(mode=0)
    if os.access(pictures / "lost+found", os.R_OK):
        pytest.skip("this user may read everything")
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 21}
    assert result["left_out"]["train"] == ["lost+found/: this folder can't be read"]


def test_every_folder_is_gone_through_once_also_behind_links(pictures: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (5, 5)).save(elsewhere / "far.png")
    (elsewhere / "far.txt").write_text("far")
    (elsewhere / "back").symlink_to(pictures)
    (pictures / "linked").symlink_to(elsewhere)
    (pictures / "itself").symlink_to("itself")
    source = folder_dataset(pictures, val_fraction=0.0).splits["train"]
    assert len(source) == 22
    assert "far" in {source[k].caption for k in range(22)}


def test_hidden_files_are_no_images_and_images_of_other_formats_are_named(
    pictures: Path, tmp_path: Path
) -> None:
    (pictures / "._plain.png").write_bytes(b"of macOS")
    (pictures / ".thumbnails").mkdir()
    Image.new("RGB", (5, 5)).save(pictures / ".thumbnails" / "plain.png")
    Image.new("RGB", (5, 5)).save(pictures / "moving.gif")
    (pictures / "moving.txt").write_text("it moves")
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 21}
    assert result["left_out"] == {"train": ["moving.gif: neither a PNG, nor a JPEG, nor a WebP file"]}


def test_names_that_are_no_utf8_can_be_told(pictures: Path, tmp_path: Path) -> None:
    (pictures / os.fsdecode(b"caf\xe9.png")).write_bytes(b"")
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["left_out"]["train"][0].startswith(r"caf\xe9.png: ")


def test_odd_json_beside_an_image_stops_nothing(pictures: Path, tmp_path: Path) -> None:
    (pictures / "plain.json").write_text('{"caption": "from json", "author": "\\ud83d"}')
    (pictures / "deep" / "photo 3.v2.json").write_text("[" * 10**5)
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 20}
    assert result["left_out"]["train"] == ["deep/photo 3.v2.jpg: its .json is no JSON object"]


def test_unusable_files_are_named(pictures: Path, tmp_path: Path) -> None:
    (pictures / "torn.jpg").write_bytes((pictures / "deep" / "photo 3.v2.jpg").read_bytes()[:30])
    (pictures / "torn.txt").write_text("words")
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    (pictures / "silent.png").write_bytes(buffer.getvalue())
    result = pack_dataset(tmp_path / "out", folder_dataset(pictures, val_fraction=0.0))
    assert result["counts"] == {"train": 21}
    assert result["left_out"]["train"][0] == "silent.png: no caption"
    assert result["left_out"]["train"][1].startswith("torn.jpg: unreadable image header")


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images .* for training below"):
        folder_dataset(tmp_path, val_fraction=0.1)
