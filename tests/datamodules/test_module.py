"""What the data module gives, and what it refuses before any training."""

from __future__ import annotations

import logging
from pathlib import Path

import jsonargparse
import numpy as np
import pytest
import torch
import yaml

from datamodules.bucketing import assign_buckets
from datamodules.decode import cover_crop, decode_rgb
from datamodules.index import ShardIndex, read_member
from datamodules.module import ImageTextDataModule
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch
from tests.datamodules.conftest import CONFIG, RESOLUTION, MakeModule


def test_batches_are_images_of_one_shape_with_their_captions(
    shared_root: Path, make_module: MakeModule
) -> None:
    index = ShardIndex.load(shared_root / "train")
    rows = {index[k].key: index[k] for k in range(len(index))}
    seen = set()
    for batch in make_module().train_dataloader():
        assert isinstance(batch, ImageTextBatch)
        height, width = RESOLUTION.image_size(batch.aspect_ratio)
        assert batch.images_B3HW.shape == (4, 3, height, width)
        assert batch.images_B3HW.dtype == torch.float32
        for image, key, caption in zip(batch.images_B3HW, batch.keys, batch.captions, strict=True):
            row = rows[key]
            with index.shard_path(row.shard).open("rb") as file:
                assert caption == (read_member(file.fileno(), row.text) or b"").decode()
                pixels = cover_crop(
                    decode_rgb(read_member(file.fileno(), row.image) or b"", 10**6), height, width
                )
            assert torch.equal(
                ((image + 1) * 127.5).round().byte(), torch.from_numpy(pixels).permute(2, 0, 1)
            )
        seen.add(batch.aspect_ratio)
    assert seen == set(RESOLUTION.aspect_ratios)


def test_pixels_span_minus_one_to_one(make_module: MakeModule) -> None:
    batches = list(make_module().train_dataloader())
    low = min(float(batch.images_B3HW.min()) for batch in batches)
    high = max(float(batch.images_B3HW.max()) for batch in batches)
    assert -1 <= low < -0.8
    assert 0.9 < high <= 1


def test_an_epoch_has_every_sample_at_most_once_and_only_tails_are_missing(make_module: MakeModule) -> None:
    module = make_module()
    stream = module.train_dataloader()
    seen = [key for batch in stream for key in batch.keys]
    assert len(set(seen)) == len(seen) == 4 * len(stream)
    assert CONFIG.num_train - 3 * 3 <= len(seen) <= CONFIG.num_train


@pytest.mark.parametrize("stage", ["fit", None])
def test_a_missing_shard_is_an_error_at_setup(root: Path, make_module: MakeModule, stage: str | None) -> None:
    (root / "train" / "00001.tar").unlink()
    with pytest.raises(ValueError, match=r"shard .*train/00001\.tar is missing"):
        make_module(root).setup(stage)


def test_a_truncated_shard_is_an_error_at_setup(root: Path, make_module: MakeModule) -> None:
    shard = root / "val" / "00000.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(ValueError, match=r"shard .*val/00000\.tar has \d+ bytes, but \d+ when"):
        make_module(root).setup("validate")


def test_a_missing_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no data set at .*nowhere; make one with `make data`"):
        ImageTextDataModule(str(tmp_path / "nowhere"), RESOLUTION).setup("fit")


def test_images_much_too_small_for_the_resolution_are_an_error(shared_root: Path) -> None:
    large = Resolution(stride=16, sides=(1, 2, 4, 8), aspect_ratios=RESOLUTION.aspect_ratios)
    with pytest.raises(ValueError, match=r"would be enlarged 4 times to \d+x\d+; use larger images"):
        ImageTextDataModule(str(shared_root), large).setup("fit")


def test_heavy_cropping_is_warned_about(shared_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        ImageTextDataModule(str(shared_root), RESOLUTION).setup("fit")
        assert not caplog.records
        ImageTextDataModule(str(shared_root), Resolution(stride=8, sides=(1, 2, 4))).setup("fit")
    assert "cuts 2" in caplog.text  # two thirds of the images lose 40 %


def test_a_batch_larger_than_every_bucket_is_an_error(make_module: MakeModule) -> None:
    with pytest.raises(ValueError, match="fills a global batch of 64; use a smaller batch_size"):
        make_module(batch_size=64).train_dataloader()


def test_aspect_ratios_that_are_never_drawn_are_named(
    shared_root: Path, make_module: MakeModule, caplog: pytest.LogCaptureFixture
) -> None:
    index = ShardIndex.load(shared_root / "train")
    ratios = RESOLUTION.aspect_ratios
    sizes = np.bincount(assign_buckets(index.widths, index.heights, ratios)).tolist()
    smallest = sizes.index(min(sizes))
    assert sorted(sizes)[1] > sizes[smallest]
    make_module(batch_size=sizes[smallest]).train_dataloader()
    assert "never drawn" not in caplog.text
    make_module(batch_size=sizes[smallest] + 1).train_dataloader()
    assert f"the aspect ratios [{ratios[smallest]}] have fewer samples than a global batch" in caplog.text


def test_what_an_epoch_is_made_of_is_logged_by_bucket(
    shared_root: Path, make_module: MakeModule, caplog: pytest.LogCaptureFixture
) -> None:
    index = ShardIndex.load(shared_root / "train")
    sizes = np.bincount(assign_buckets(index.widths, index.heights, RESOLUTION.aspect_ratios)).tolist()
    with caplog.at_level(logging.INFO):
        stream = make_module().train_dataloader()
    left = sum(size % 4 for size in sizes)
    first, header, *rows = caplog.messages[0].splitlines()
    assert first == (
        f"train: an epoch has 101 samples in {len(stream)} batches of 4, {left} are left over; "
        "windows of 262,144 samples are shuffled, 1 an epoch"
    )
    assert header.split("  ")[1] == "aspect ratio"
    assert [row.split()[2:] for row in rows] == [[str(n), str(n // 4), str(n % 4)] for n in sizes]
    assert [row.split()[:2] for row in rows] == [["0.6", "40x24"], ["1", "32x32"], ["1.66667", "24x40"]]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"num_workers": -1}, "num_workers must be at least 0, got -1"),
        ({"max_bad_fraction": 2.0}, r"max_bad_fraction must be in \[0, 1\], got 2.0"),
    ],
)
def test_wrong_options_are_named(make_module: MakeModule, option: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_module(**option)


def test_yaml_can_build_the_module(shared_root: Path) -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(ImageTextDataModule, "data")
    resolution = {"stride": 8, "sides": [1, 2, 4], "aspect_ratios": [0.6, 1.0, 5 / 3]}
    text = yaml.safe_dump({"data": {"root": str(shared_root), "resolution": resolution, "batch_size": 3}})
    module = parser.instantiate(parser.parse_string(text)).data
    assert len(next(iter(module.train_dataloader())).keys) == 3
    with pytest.raises(jsonargparse.ArgumentError, match="batchsize"):
        parser.parse_string(text + "  batchsize: 3\n")
