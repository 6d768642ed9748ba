"""Images of folders and of shards: one order, one hash."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.stored_images import StoredImages

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)
NAMES = ["a/1.png", "a/2.PNG", "b/1.png", "b/3.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, image in zip(NAMES, PIXELS, strict=True):
        path = tmp_path / "folder" / "val" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (tmp_path / "folder" / "val" / "a" / "notes.txt").write_text("no image")
    return tmp_path / "folder"


@pytest.fixture
def shards(folder: Path) -> Path:
    root = folder.parent / "shards"
    (root / "val").mkdir(parents=True)
    for shard, names in (("00000", NAMES[:3]), ("00001", NAMES[3:])):
        with tarfile.open(root / "val" / f"{shard}.tar", "w") as tar:
            for number, name in enumerate(names):
                content = (folder / "val" / name).read_bytes()
                for member, data in ((f"{number}.png", content), (f"{number}.txt", b"caption")):
                    info = tarfile.TarInfo(member)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    return root


def test_images_come_in_the_order_of_names_or_of_shards(folder: Path, shards: Path) -> None:
    for data in (folder, folder / "val", shards):
        np.testing.assert_array_equal(list(StoredImages(data=data)), PIXELS)
    np.testing.assert_array_equal(list(StoredImages(data=shards, limit=2)), PIXELS[:2])


def test_prepared_images_keep_their_order_and_are_made_a_few_at_a_time(folder: Path) -> None:
    for number in range(200):
        Image.fromarray(np.full((2, 2, 3), number, np.uint8)).save(folder / f"{number:03d}.png")
    made: list[int] = []

    def prepare(image_HW3: np.ndarray) -> np.ndarray:
        made.append(int(image_HW3[0, 0, 0]))
        return image_HW3[:1, :1]

    images = StoredImages(data=folder, split="none").each(prepare)
    assert next(images).shape == (1, 1, 3)
    assert len(made) < 100
    assert [int(image[0, 0, 0]) for image in images][:199] == list(range(1, 200))


def test_the_hash_is_of_the_images_that_are_read(folder: Path, shards: Path) -> None:
    whole = StoredImages(data=folder).sha256()
    assert StoredImages(data=shards).sha256() == whole
    assert StoredImages(data=folder, limit=3).sha256() != whole
    first = StoredImages(data=folder, limit=3).sha256()
    Image.fromarray(PIXELS[0]).save(folder / "val" / NAMES[3])
    assert StoredImages(data=folder).sha256() != whole
    assert StoredImages(data=folder, limit=3).sha256() == first


def test_no_images_and_broken_shards_end_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no images, nor shards"):
        list(StoredImages(data=tmp_path))
    (tmp_path / "0.tar").write_bytes(b"no tar file" * 100)
    with pytest.raises(ValueError, match="no whole tar file"):
        list(StoredImages(data=tmp_path))
