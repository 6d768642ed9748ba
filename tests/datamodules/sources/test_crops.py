"""Cutting photographs into crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.decode import BrokenSampleError
from datamodules.sources.crops import CropSource, Photograph, crop_size, crops_of, with_contrast
from tests.datamodules.sources.packages import opened

RATIOS = (9 / 16, 1.0, 16 / 9)


@pytest.mark.parametrize(("ratio", "size"), [(1.0, (256, 256)), (16 / 9, (336, 192)), (9 / 16, (192, 336))])
def test_crops_of_all_ratios_have_about_the_same_number_of_pixels(
    ratio: float, size: tuple[int, int]
) -> None:
    assert crop_size(256, ratio) == size


def test_a_level_cuts_the_centred_box_into_equal_tiles() -> None:
    crops = crops_of(400, 200, 64, (1.0,), 2)
    assert [(crop.level, crop.box) for crop in crops] == [
        (0, (100, 0, 300, 200)),
        (1, (100, 0, 200, 100)),
        (1, (200, 0, 300, 100)),
        (1, (100, 100, 200, 200)),
        (1, (200, 100, 300, 200)),
    ]
    assert len({crop.name for crop in crops}) == 5


@pytest.mark.parametrize(("side", "count"), [(63, 0), (64, 1), (127, 1), (128, 5), (1000, 21)])
def test_nothing_is_enlarged_and_levels_end(side: int, count: int) -> None:
    assert len(crops_of(side, side, 64, (1.0,), 3)) == count


def test_boxes_lie_in_the_photograph_and_have_the_crops_ratio() -> None:
    crops = crops_of(1003, 701, 96, RATIOS, 3)
    assert {crop.size for crop in crops} == {crop_size(96, ratio) for ratio in RATIOS}
    for crop in crops:
        left, top, right, bottom = crop.box
        assert 0 <= left < right <= 1003
        assert 0 <= top < bottom <= 701
        width, height = crop.size
        assert (right - left) / (bottom - top) == pytest.approx(width / height)


def photograph(path: Path) -> Photograph:
    """Left half plain, right half a gradient from black to white."""
    pixels = np.full((256, 512), 90, np.uint8)
    pixels[:, 256:] = np.arange(256)
    Image.fromarray(pixels).convert("RGB").save(path)
    return Photograph("land", path, 512, 256, "a land", {"license": "CC0"})


def test_tiles_without_contrast_are_left_out(tmp_path: Path) -> None:
    one = photograph(tmp_path / "a.png")
    crops = crops_of(512, 256, 64, (2.0,), 2)
    kept = with_contrast(one, crops, 12.0)
    assert {crop.name[-3:] for crop in crops} - {crop.name[-3:] for crop in kept} == {"1-0", "1-2"}
    assert with_contrast(one, crops, 0.0) == crops


def test_samples_are_the_tiles_with_captions_that_tell_details(tmp_path: Path) -> None:
    one = photograph(tmp_path / "a.png")
    crops = crops_of(512, 256, 64, (2.0,), 2)
    source = CropSource(tuple((one, crop) for crop in crops))
    assert len(source) == 5
    whole, detail = source[0], source[2]
    assert (whole.caption, detail.caption) == ("a photograph of a land", "a detail of a photograph of a land")
    assert whole.metadata == {"license": "CC0", "box": crops[0].box}
    assert (detail.width, detail.height) == opened(detail).size == crop_size(64, 2.0)
    left, _, right, _ = crops[2].box
    greys = np.asarray(opened(detail).convert("L")).astype(float)
    expected = (np.arange(greys.shape[1]) + 0.5) / greys.shape[1] * (right - left) + left - 256 - 0.5
    assert np.abs(greys.mean(0) - expected)[3:-3].max() < 2


def test_a_damaged_photograph_is_named_when_it_is_packed(tmp_path: Path) -> None:
    one = photograph(tmp_path / "a.png")
    one.path.write_bytes(one.path.read_bytes()[:99])
    kept = with_contrast(one, crops_of(512, 256, 64, (2.0,), 1), 12.0)
    with pytest.raises(BrokenSampleError, match=r"a\.png: undecodable"):
        CropSource(tuple((one, crop) for crop in kept))[0]
