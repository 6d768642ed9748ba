from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules.__main__ import main
from datamodules.index import ShardIndex
from datamodules.statistics.images import measure_images
from infinity.schedules import Resolution
from tests.datamodules.drawn import damaged, encoded, texture, write_split

RATIOS = "--resolution.aspect_ratios=[0.5, 1.0, 2.0]"
SHAPE = ["--resolution.stride=16", "--resolution.sides=[1, 2, 4]", RATIOS]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy within train, one of train in val; one broken image; three aspect ratios."""
    root = tmp_path_factory.mktemp("data") / "set [raw]"  # which is no markup of a terminal
    train = [
        ("a", texture(0, 128, 128), "a red circle"),
        ("b", texture(1, 90, 180), "blue"),
        ("c", texture(2, 64, 56), "a very small picture"),
        ("d", encoded(texture(0, 128, 128)), "a red circle"),
        ("e", damaged(texture(3, 100, 100)), "broken"),
    ]
    write_split(root / "train", train)
    write_split(root / "val", [("v", texture(1, 60, 120), "blue"), ("w", texture(9), "no one")])
    return root


def stats(root: Path, *options: str) -> dict[str, Any]:
    assert main(["stats", str(root), "--num_workers=1", *SHAPE, *options]) == 0
    return json.loads((root / "stats" / "stats.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def report(root: Path) -> dict[str, Any]:
    return stats(root, "--duplicates")


def test_buckets_tell_what_is_cut_away_and_enlarged(report: dict[str, Any]) -> None:
    train = report["splits"]["train"]
    assert [bucket["num_samples"] for bucket in train["buckets"]] == [4, 1]
    square, tall = train["buckets"]
    assert (square["height"], square["width"]) == (64, 64)
    # 64 x 56 is enlarged by 64 / 56 and loses an eighth of its area; the other three are squares
    assert square["crop_loss"]["max"] == pytest.approx(0.125)
    assert square["crop_loss"]["mean"] == pytest.approx(0.125 / 4)
    assert square["enlargement"]["max"] == pytest.approx(64 / 56)
    assert square["enlarged"] == 0.25
    assert tall["aspect_ratio"] == 2.0
    assert train["sizes"][0] == [128, 128, 2]


def test_crop_loss_is_the_share_of_pixels_that_a_crop_leaves_out(tmp_path: Path) -> None:
    sizes = [(300, 100), (70, 90), (64, 64), (501, 499)]
    samples = [(f"k{k}", texture(k, *size), "words") for k, size in enumerate(sizes)]
    index = write_split(tmp_path / "split", samples)
    resolution = Resolution(stride=16, sides=(1, 2, 4), aspect_ratios=(0.5, 1.0, 2.0))
    measured = measure_images(index, resolution)
    for number, (width, height) in enumerate(sizes):
        bucket_height, bucket_width = resolution.image_size(
            resolution.aspect_ratios[measured.buckets[number]]
        )
        scale = min(width / bucket_width, height / bucket_height)  # pixels of the image per pixel kept
        kept = bucket_width * scale * bucket_height * scale / (width * height)
        assert measured.crop_loss[number] == pytest.approx(1 - kept)
        assert measured.enlargement[number] == pytest.approx(1 / scale)


def test_captions_and_bytes_are_counted(root: Path, report: dict[str, Any]) -> None:
    train = report["splits"]["train"]
    assert train["words"]["caption"]["mean"] == pytest.approx((3 + 1 + 4 + 3 + 1) / 5)
    assert train["characters"]["caption"]["max"] == len("a very small picture")
    assert train["num_captioned"] == 5
    index = ShardIndex.load(root / "train")
    lengths = [index[number].image.num_bytes for number in range(5)]
    assert train["image_bytes"]["mean"] == pytest.approx(np.mean(lengths))


def test_broken_images_are_counted_with_their_cause(report: dict[str, Any]) -> None:
    train = report["splits"]["train"]
    assert train["num_decoded"] == 5
    assert list(train["broken"].values()) == [1]
    assert next(iter(train["broken"])).startswith("undecodable image")


def test_duplicates_are_found_within_and_between_splits(report: dict[str, Any]) -> None:
    found = report["duplicates"]
    assert (found["num_compared"], found["exact"], found["near"]) == (6, 1, 2)
    assert found["leaked"] == {"val": 1}
    assert sorted(map(sorted, found["groups"])) == [
        [["train", 0], ["train", 3]],
        [["train", 1], ["val", 0]],
    ]


def test_the_page_is_whole_in_itself(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stats(root, "--duplicates")
    page = (root / "stats" / "stats.html").read_text("utf-8")
    assert "<h2>Look-alikes</h2>" in page
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "in 2 splits" in page
    assert "a very small picture" in page
    told = capsys.readouterr().out
    assert told.startswith("set [raw] ")
    assert "1 samples of val look like some of train" in " ".join(told.split())
    assert (root / "stats" / "ratios.png").read_bytes().startswith(b"\x89PNG")


def test_without_duplicates_few_images_are_decoded_and_captions_cannot_inject_markup(tmp_path: Path) -> None:
    write_split(tmp_path / "set" / "train", [("k", texture(0), "<script>alert(1)</script>")])
    quick = stats(tmp_path / "set", "--num_decoded=0")
    assert (quick["duplicates"], quick["splits"]["train"]["num_decoded"]) == (None, 0)
    assert "<script" not in (tmp_path / "set" / "stats" / "stats.html").read_text("utf-8")


def test_what_the_comparison_cannot_do_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_split(tmp_path / "set" / "train", [("k", texture(0), "words")])
    assert main(["stats", str(tmp_path / "set"), "--duplicates", "--max_distance=8"]) == 1
    assert "max_distance must be in [0, 7] of 64 bits, got 8" in capsys.readouterr().err
    assert not (tmp_path / "set" / "stats").exists()
    with pytest.raises(SystemExit):
        main(["stats", str(tmp_path / "set"), "--num_decoded=-1"])


def test_a_folder_without_an_index_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", str(tmp_path)]) == 1
    assert f"make one with `python -m datamodules index {tmp_path}`" in capsys.readouterr().err
