"""Shards as others write them, and damaged ones."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import webdataset
from PIL import Image

from datamodules.index import ShardIndex as Index
from datamodules.index import scan_shard, write_index
from tests.datamodules.conftest import write_tar
from tests.datamodules.foreign_shards import image


def keys_of(shard: Path) -> list[str]:
    write_index(shard.parent, [scan_shard(shard)])
    index = Index.load(shard.parent)
    return [index[number].key for number in range(len(index))]


def test_the_many_ways_of_naming_files(tmp_path: Path) -> None:
    good, words, meta = image(20, 10), b"words", json.dumps({"caption": "words"}).encode()
    long = "long" * 60
    write_tar(
        tmp_path / "0.tar",
        {
            "__index__.json": b"{}",
            "a/000.JPG": good,
            "a/000.TXT": words,
            "b/000.jpeg": good,
            "b/000.json": meta,
            "v1.0/000.webp": image(20, 10, "WEBP"),
            "v1.0/000.txt": words,
            "more.jpg": good,
            "more.json": meta,
            "more.raw.json": b"not json",
            "more.__index__": b"7",
            "more.seg.png": good,
            f"{long}/{long}.png": image(20, 10, "PNG"),
            f"{long}/{long}.txt": words,
            "größe 图.png": image(20, 10, "PNG"),
            "größe 图.txt": words,
            "._more.jpg": b"of a Mac",
            "README": b"no extension",
        },
    )
    expected = ["a/000", "b/000", "v1.0/000", "more", f"{long}/{long}", "größe 图"]
    assert keys_of(tmp_path / "0.tar") == expected
    dataset = webdataset.WebDataset(str(tmp_path / "0.tar"), shardshuffle=False, empty_check=False)
    assert set(expected) < {sample["__key__"] for sample in dataset}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_forms_of_tar_files_are_understood(tmp_path: Path, form: int) -> None:
    name = "x" * 90 if form == tarfile.USTAR_FORMAT else "ü" * 150
    with tarfile.open(tmp_path / "0.tar", "w", format=form) as tar:
        folder = tarfile.TarInfo("folder.jpg")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for extension, data in (("png", image(7, 5, "PNG")), ("txt", b"words")):
            info = tarfile.TarInfo(f"{name}.{extension}")
            info.size, info.mtime = len(data), 1.5
            tar.addfile(info, io.BytesIO(data))
    assert keys_of(tmp_path / "0.tar") == [name]


def test_names_that_are_no_utf8_can_be_printed(tmp_path: Path) -> None:
    write_tar(
        tmp_path / "0.tar",
        {"caf\udce9.png": image(7, 5, "PNG"), "caf\udce9.txt": b"words", "\udcff.txt": b""},
    )
    assert keys_of(tmp_path / "0.tar") == [r"caf\xe9"]
    assert scan_shard(tmp_path / "0.tar").left_out[0][0] == r"\xff"


def test_unusable_samples_are_left_out_and_named(tmp_path: Path) -> None:
    good = image(20, 10)
    write_tar(
        tmp_path / "0.tar",
        {
            "good.jpg": good,
            "good.txt": b"fine",
            "no-image.txt": b"words",
            "no-words.jpg": good,
            "blank.jpg": good,
            "blank.txt": b" \n",
            "torn.jpg": good[:20],
            "torn.txt": b"words",
            "empty.jpg": b"",
            "empty.txt": b"words",
            "two.jpg": good,
            "two.png": good,
            "two.txt": b"words",
            "no-json.jpg": good,
            "no-json.json": b"[",
            "latin.jpg": good,
            "latin.txt": b"caf\xe9",
            "latin-too.jpg": good,
            "latin-too.txt": b"caf\xe9",
            "latin-too.json": b'{"author": "me"}',
            "folder/deep.seg.png": good,
        },
    )
    scan = scan_shard(tmp_path / "0.tar")
    assert scan.keys == b"good"
    causes = dict(scan.left_out)
    assert causes.pop("torn").startswith("unreadable image header")
    assert causes.pop("two").startswith("2 images (png, jpg, jpeg, webp) where one is expected")
    none = "0 images (png, jpg, jpeg, webp) where one is expected"
    assert causes == {
        "no-image": none,
        "folder/deep": none,
        "no-words": "no caption",
        "blank": "no caption",
        "empty": "its image is empty",
        "no-json": "its .json is no JSON object",
        "latin": "its .txt is not UTF-8",
        "latin-too": "its .txt is not UTF-8; no caption",
    }


def test_a_text_or_a_json_will_do_for_the_caption(tmp_path: Path) -> None:
    caption, blank = b'{"caption": "words"}', b" "
    files = {"a.txt": b"words", "a.json": b"[", "b.json": caption, "b.txt": blank, "c.json": caption}
    images = {f"{key}.png": image(7, 5, "PNG") for key in "abc"}
    write_tar(tmp_path / "0.tar", {**files, **images})
    assert keys_of(tmp_path / "0.tar") == ["a", "b", "c"]


def test_a_key_twice_in_a_shard_is_left_out(tmp_path: Path) -> None:
    once = [("a.jpg", image(9, 9)), ("a.txt", b"words")]
    write_tar(tmp_path / "0.tar", [*once, ("b.jpg", image(9, 9)), ("b.txt", b"words"), *once])
    scan = scan_shard(tmp_path / "0.tar")
    assert scan.keys == b"b"
    assert scan.left_out == [("a", "its key occurs twice in the shard")]


def test_only_the_headers_of_images_are_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=95)
    write_tar(tmp_path / "0.tar", {"a.jpg": buffer.getvalue(), "a.txt": b"words"})
    with (tmp_path / "0.tar").open("r+b") as file:
        file.seek(512 + 40_000)
        file.write(bytes(len(buffer.getvalue()) - 40_000))
    assert scan_shard(tmp_path / "0.tar").widths.tolist() == [600]


def test_compressed_shards_are_refused(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {"a.txt": b"words"})
    (tmp_path / "0.tar").write_bytes(gzip.compress((tmp_path / "0.tar").read_bytes()))
    with pytest.raises(ValueError, match=r"0\.tar is compressed, so .* places; unpack it with gunzip"):
        scan_shard(tmp_path / "0.tar")


def test_a_damaged_header_between_members_is_an_error(tmp_path: Path) -> None:
    write_tar(tmp_path / "0.tar", {f"{k}.txt": b"words" for k in range(9)})
    data = bytearray((tmp_path / "0.tar").read_bytes())
    data[4 * 1024 + 3] ^= 0xFF
    (tmp_path / "0.tar").write_bytes(data)
    with pytest.raises(ValueError, match=r"0\.tar is no complete tar file \(damaged header at byte 4096\)"):
        scan_shard(tmp_path / "0.tar")


def test_a_header_with_a_negative_size_is_an_error_not_a_loop(tmp_path: Path) -> None:
    info = tarfile.TarInfo("b.txt")
    info.size = -1024
    write_tar(tmp_path / "0.tar", {"a.txt": b"words"})
    data = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(data[:1024] + info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(ValueError, match=r"0\.tar is no complete tar file"):
        scan_shard(tmp_path / "0.tar")


@pytest.mark.parametrize("cut", [100, 512, 5000])
def test_a_shard_that_is_cut_short_is_an_error(tmp_path: Path, cut: int) -> None:
    shard = tmp_path / "0.tar"
    write_tar(shard, {f"{k}.txt": b"words" * 200 for k in range(9)})
    with tarfile.open(shard) as tar:
        end = max(info.offset_data + info.size for info in tar)
    shard.write_bytes(shard.read_bytes()[: end - cut])
    with pytest.raises(ValueError, match=r"0\.tar is no complete tar file"):
        scan_shard(shard)


def test_a_shard_that_is_cut_between_members_is_an_error(tmp_path: Path) -> None:
    shard = tmp_path / "0.tar"
    write_tar(shard, {f"{k}.txt": b"words" for k in range(3)})
    shard.write_bytes(shard.read_bytes()[:2048])
    with pytest.raises(ValueError, match=r"0\.tar is no complete tar file \(its end mark is missing\)"):
        scan_shard(shard)
