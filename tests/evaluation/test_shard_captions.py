"""Captions belong to the image beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evaluation.shard_captions import read_captioned_images, read_shard_captions
from tests.evaluation.test_shard_images import PIXELS, encoded, write_shard


def test_an_image_without_a_caption_takes_none_from_another_shard(tmp_path: Path) -> None:
    first, second, third = (encoded(image, "webp") for image in PIXELS)
    write_shard(tmp_path / "val" / "00000.tar", {"0.webp": first, "1.txt": b"", "1.webp": second})
    write_shard(tmp_path / "val" / "00001.tar", {"0.txt": b"a ring ", "0.webp": third, "2.txt": b"alone"})
    ((key, image, caption),) = read_captioned_images(tmp_path, "val")
    assert (key, caption) == ("0", "a ring")
    np.testing.assert_array_equal(image, PIXELS[2])
    assert list(read_shard_captions(tmp_path, "val")) == [("1", ""), ("0", "a ring"), ("2", "alone")]
