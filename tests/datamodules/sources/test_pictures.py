"""Pictures with and without an alpha channel as samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.sources.backgrounds import BACKGROUNDS, canvas_size
from datamodules.sources.pictures import Picture, PictureConfig, PictureSource, inspect_pictures
from datamodules.sources.splits import split_by_concept
from tests.datamodules.sources.packages import cut_out, opened, plain, png

RED = (220, 20, 30)


def source(path: Path, *, fills_image: bool = False, **options: float) -> PictureSource:
    picture = Picture("apple", path, "an apple", {"license": "CC0"}, fills_image)
    return PictureSource("test", PictureConfig(**options), (picture,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("picture", "canvas"),
    [
        ((300, 300), (128, 128)),
        ((300, 150), (128, 64)),
        ((90, 120), (90, 120)),
        ((900, 90), (128, 64)),
        ((1, 99), (50, 99)),
    ],
)
def test_a_canvas_has_the_pictures_ratio_within_limits_and_never_enlarges(
    picture: tuple[int, int], canvas: tuple[int, int]
) -> None:
    assert canvas_size(picture, 128, 2.0) == canvas


def test_a_cut_out_picture_lies_on_backgrounds_that_its_captions_name(tmp_path: Path) -> None:
    path = tmp_path / "apple.png"
    path.write_bytes(cut_out(RED, (160, 80), rim=40))
    samples = source(path, size=64, variants=3)
    assert len(samples) == 3
    for k in range(3):
        sample = samples[k]
        pixels = np.asarray(opened(sample)).astype(int)
        background = sample.metadata["background"]
        assert (
            sample.caption.removeprefix("an apple on a").removeprefix("n").strip()
            == f"{background} background"
        )
        assert (sample.width, sample.height) == opened(sample).size == (64, 32)
        assert np.abs(pixels[0, 0] - BACKGROUNDS[background]).max() <= 6
        assert np.abs(pixels[16, 32] - RED).max() <= 3
        # the transparent rim was cut off: what is shown takes at least 0.8 of the canvas
        assert np.abs(pixels[16, 7] - RED).max() <= 3
        assert sample.metadata["license"] == "CC0"
    assert len({samples[k].key for k in range(3)}) == 3


def test_a_picture_without_transparency_fills_one_image_of_its_own_ratio(tmp_path: Path) -> None:
    path = tmp_path / "flag.png"
    path.write_bytes(plain(RED, (300, 100)))
    samples = source(path, size=120, variants=3, fills_image=True)
    assert len(samples) == 1
    assert (samples[0].key, samples[0].caption) == ("apple", "an apple")
    assert opened(samples[0]).size == (120, 40)
    assert (np.asarray(opened(samples[0])) == RED).all()


def test_every_picture_is_used_or_counted_by_cause(tmp_path: Path) -> None:
    files = {
        "a.png": cut_out(RED),
        "b.png": cut_out(RED, rim=9),  # the same but for its rim
        "c.png": plain(RED),
        "d.png": plain(RED, (40, 40)),
        "e.png": cut_out(RED, (40, 40), rim=40),
        "f.png": b"no picture",
        "g.png": cut_out(RED)[:200],
        "h.png": png(Image.new("RGBA", (96, 96))),
        "i.png": png(Image.new("1", (3000, 3000))),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    told: list[tuple[int, int]] = []
    usable, dropped = inspect_pictures(
        [tmp_path / name for name in files], lambda what, done, total: told.append((done, total))
    )
    assert {path.name: opaque for path, opaque in usable.items()} == {"a.png": False, "c.png": True}
    assert dropped == {
        "same pixels as another": 1,
        "smaller than 64 pixels": 2,
        "unreadable or empty": 3,
        "more than 4194304 pixels": 1,
    }
    assert told == [(1, len(files))] * len(files)


def test_splits_share_no_concept_and_a_concept_stays_where_it_is() -> None:
    words = [f"{color} thing{k}" for k in range(40) for color in ("red", "blue")]
    few, many = (
        split_by_concept("test", words[:number], lambda word: word.split()[1], 0.3) for number in (40, 80)
    )
    assert set(few["val"]) == set(many["val"]) & set(words[:40])
    assert not {word.split()[1] for word in many["train"]} & {word.split()[1] for word in many["val"]}
    with pytest.raises(ValueError, match=r"val_fraction = 1e-09 leaves no test for val of 40"):
        split_by_concept("test", words[:40], str, 1e-9)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 8}, r"size must be in \[16, 1024\]"),
        ({"variants": 15}, "variants must be in"),
        ({"val_fraction": 1}, "val_fraction"),
    ],
)
def test_wrong_options_are_named(option: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PictureConfig(**option)  # type: ignore[arg-type]
