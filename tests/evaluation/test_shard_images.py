"""Images of shards: which are read, and which decoders may run."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.image_folders import read_image
from evaluation.model_run import read_split
from evaluation.shard_images import read_shard_images

PIXELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def encoded(image_HW3: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image_HW3).save(buffer, kind, lossless=True)
    return buffer.getvalue()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    first = {"a.png": encoded(PIXELS[0], "png"), "a.txt": b"a circle", "b.webp": encoded(PIXELS[1], "webp")}
    write_shard(tmp_path / "val" / "00000.tar", first)
    write_shard(tmp_path / "val" / "00001.tar", {"c.png": encoded(PIXELS[2], "png")})
    return tmp_path


def test_images_come_by_key_in_the_order_of_the_shards(data: Path) -> None:
    keys, images = zip(*read_shard_images(data, "val"), strict=True)
    assert keys == ("a", "b", "c")
    np.testing.assert_array_equal(images, PIXELS)
    assert [key for key, _ in read_shard_images(data, "val", {"c", "a"})] == ["a", "c"]


@pytest.mark.parametrize("limit", [1, 2, 3, 9])
def test_a_split_gives_its_first_images(data: Path, limit: int) -> None:
    np.testing.assert_array_equal(list(read_split(data, "val", limit)), PIXELS[:limit])


def test_a_split_without_images_is_refused(data: Path) -> None:
    with pytest.raises(ValueError, match="make data"):
        list(read_split(data, "train", 1))


def test_other_formats_are_not_decoded_whatever_their_name(tmp_path: Path) -> None:
    disguised = encoded(PIXELS[0], "tiff")
    (tmp_path / "a.png").write_bytes(disguised)
    write_shard(tmp_path / "val" / "00000.tar", {"a.png": disguised})
    with pytest.raises(ValueError, match=r"a\.png is no whole PNG, .* \(UnidentifiedImageError\)"):
        read_image(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png in .*00000\.tar is no whole PNG"):
        list(read_split(tmp_path, "val", 1))


def test_a_cut_shard_is_named(data: Path) -> None:
    shard = data / "val" / "00000.tar"
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(ValueError, match=r"00000\.tar is no whole tar file \(unexpected end of data\)"):
        list(read_split(data, "val", 9))
