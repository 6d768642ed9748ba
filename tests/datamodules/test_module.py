"""The data module: one order whatever reads it, exact resume, faults counted and named."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import jsonargparse
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, Trainer

from datamodules.decode import cover_crop, decode_rgb
from datamodules.index import ShardIndex, read_member
from datamodules.module import ImageTextDataModule
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch
from tests.datamodules.conftest import CONFIG, RESOLUTION

MakeModule = Callable[..., ImageTextDataModule]


def on_rank(module: ImageTextDataModule, rank: int, num_ranks: int) -> ImageTextDataModule:
    module.trainer = SimpleNamespace(world_size=num_ranks, global_rank=rank)  # type: ignore[assignment]
    return module


def keys(module: ImageTextDataModule, num_batches: int) -> list[list[str]]:
    """Keys of the next training batches, over as many iterations as that takes."""
    stream = module.train_dataloader()
    found: list[list[str]] = []
    while len(found) < num_batches:
        found += [batch.keys for batch in islice(stream, num_batches - len(found))]
    return found


def global_keys(make: MakeModule, num_ranks: int, num_batches: int, batch_size: int) -> list[list[str]]:
    ranks = [
        keys(on_rank(make(batch_size=batch_size), rank, num_ranks), num_batches) for rank in range(num_ranks)
    ]
    return [sum(parts, []) for parts in zip(*ranks, strict=True)]


def damage(root: Path, split: str, *keys: str) -> None:
    """Overwrite the middle of these samples' images; the shard keeps its size."""
    index = ShardIndex.load(root / split)
    for row in (index[k] for k in range(len(index))):
        if row.key in keys:
            with index.shard_path(row.shard).open("r+b") as file:
                file.seek(row.image.start)
                file.write(b"\0" * (row.image.num_bytes // 2))


# ---- what comes out ----


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


# ---- the order ----


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize("num_workers", [1, 3])
@pytest.mark.parametrize("prefetch", [1, 4])
def test_workers_and_prefetching_do_not_change_the_order(
    make_module: MakeModule, num_workers: int, prefetch: int
) -> None:
    alone = make_module()
    many = make_module(num_workers=num_workers, prefetch=prefetch)
    count = 2 * len(alone.train_dataloader()) + 3
    assert keys(many, count) == keys(alone, count)


@pytest.mark.parametrize("num_ranks", [2, 4])
def test_ranks_share_the_sequence_of_global_batches(make_module: MakeModule, num_ranks: int) -> None:
    alone = global_keys(make_module, 1, 30, batch_size=8)
    assert global_keys(make_module, num_ranks, 30, batch_size=8 // num_ranks) == alone


def test_ranks_see_the_same_bucket_at_every_step(make_module: MakeModule) -> None:
    ranks = [on_rank(make_module(batch_size=2), rank, 3).train_dataloader() for rank in range(3)]
    for batches in zip(*ranks, strict=True):
        assert len({batch.aspect_ratio for batch in batches}) == 1
        assert len({batch.images_B3HW.shape for batch in batches}) == 1


def test_spawned_workers_read_the_same(make_module: MakeModule) -> None:
    spawned = make_module(num_workers=1, worker_context="spawn")
    assert keys(spawned, 3) == keys(make_module(), 3)


def test_modules_and_streams_can_be_pickled(make_module: MakeModule) -> None:
    module = make_module()
    stream = module.train_dataloader()
    next(iter(stream))  # has a shard open
    expected = keys(make_module(), 4)[1:]
    copied = pickle.loads(pickle.dumps(module))
    assert keys(copied, 3) == expected
    assert len(pickle.loads(pickle.dumps(stream.reader))[next(iter(stream.requests))].batch.keys) == 4


def test_seeds_give_other_orders(make_module: MakeModule) -> None:
    assert keys(make_module(seed=1), 5) != keys(make_module(seed=0), 5)


# ---- resume ----


@pytest.mark.parametrize("stop", [1, 10, 40])
@pytest.mark.parametrize(("ranks_before", "ranks_after"), [(1, 1), (1, 2), (4, 2)])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_resumed_run_reads_what_a_straight_one_does(
    make_module: MakeModule, stop: int, ranks_before: int, ranks_after: int, num_workers: int
) -> None:
    straight = global_keys(make_module, 1, 50, batch_size=8)
    first = on_rank(make_module(batch_size=8 // ranks_before, num_workers=num_workers), 0, ranks_before)
    keys(first, stop)
    state = pickle.loads(pickle.dumps(first.state_dict()))
    assert state["batches"] == stop

    def resumed(batch_size: int) -> ImageTextDataModule:
        module = make_module(batch_size=batch_size)
        module.load_state_dict(state)
        return module

    assert global_keys(resumed, ranks_after, 50 - stop, batch_size=8 // ranks_after) == straight[stop:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 3}, "seed = 0, this run has 3"),
        ({"batch_size": 5}, "global_batch_size = 4, this run has 5"),
    ],
)
def test_a_checkpoint_of_another_order_is_refused(
    make_module: MakeModule, options: dict[str, int], message: str
) -> None:
    module = make_module(**options)
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(ValueError, match=message):
        module.train_dataloader()


def test_a_checkpoint_of_other_data_is_refused(root: Path, make_module: MakeModule) -> None:
    (root / "val").rename(root / "other")
    module = ImageTextDataModule(str(root), RESOLUTION, 4, train_split="other")
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(ValueError, match="data order has index = "):
        module.train_dataloader()


class Recorder(LightningModule):
    """Remembers the keys it was given; reads the number of steps first, as schedulers do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[list[str]] = []
        self.validated: list[str] = []

    def training_step(self, batch: ImageTextBatch, _: int) -> torch.Tensor:
        self.trained.append(batch.keys)
        return self.weight * batch.images_B3HW.mean()

    def validation_step(self, batch: ImageTextBatch, _: int) -> None:
        self.validated += batch.keys

    def configure_optimizers(self) -> torch.optim.Optimizer:
        assert self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_a_trainer_resumes_mid_epoch_exactly(make_module: MakeModule, tmp_path: Path) -> None:
    def fit(max_steps: int, checkpoint: Path | None = None) -> Recorder:
        model = Recorder()
        trainer = Trainer(
            max_steps=max_steps,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, datamodule=make_module(num_workers=2), ckpt_path=checkpoint, weights_only=False)
        trainer.save_checkpoint(tmp_path / f"{max_steps}.ckpt")
        return model

    per_epoch = len(make_module().train_dataloader())
    straight = fit(2 * per_epoch + 5)
    assert straight.trained == keys(make_module(), 2 * per_epoch + 5)
    stopped = fit(per_epoch + 3)
    resumed = fit(2 * per_epoch + 5, tmp_path / f"{per_epoch + 3}.ckpt")
    assert stopped.trained + resumed.trained == straight.trained
    assert len(resumed.validated) == CONFIG.num_val  # once, at the end of the second epoch


# ---- validation ----


@pytest.mark.parametrize("num_ranks", [1, 2, 3])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_validation_covers_every_sample_once(
    make_module: MakeModule, num_ranks: int, num_workers: int
) -> None:
    streams = [
        on_rank(make_module(num_workers=num_workers), rank, num_ranks).val_dataloader()
        for rank in range(num_ranks)
    ]
    assert len({len(stream) for stream in streams}) == 1
    for _ in range(2):
        batches = [list(stream) for stream in streams]
        assert {len(own) for own in batches} == {len(streams[0])}
        seen = [key for own in batches for batch in own for key in batch.keys]
        assert sorted(seen) == [f"val-{k:08d}" for k in range(CONFIG.num_val)]


# ---- faults ----


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_sample_is_replaced_counted_and_named(
    root: Path, make_module: MakeModule, num_workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    damage(root, "train", "train-00000017")
    stream = make_module(root, num_workers=num_workers, max_bad_fraction=0.1).train_dataloader()
    straight = [key for batch in make_module().train_dataloader() for key in batch.keys]
    with caplog.at_level(logging.WARNING):
        batches = [*stream, *stream]
    assert all(len(batch.keys) == 4 for batch in batches)
    got = [key for batch in batches for key in batch.keys][: len(straight)]
    assert "train-00000017" in straight
    assert [(a, b) for a, b in zip(straight, got, strict=True) if a != b][0][0] == "train-00000017"
    assert sum(a != b for a, b in zip(straight, got, strict=True)) == 1
    assert stream.faults.num_broken == 2
    assert sum("train-00000017" in record.message for record in caplog.records) == 1
    assert "00000.tar" in caplog.text


def test_a_broken_validation_sample_is_left_out(root: Path, make_module: MakeModule) -> None:
    damage(root, "val", "val-00000004")
    stream = make_module(root, max_bad_fraction=0.1).val_dataloader()
    seen = [key for batch in stream for key in batch.keys]
    assert sorted(seen) == [f"val-{k:08d}" for k in range(CONFIG.num_val) if k != 4]
    assert stream.faults.num_broken == 1


def test_a_validation_batch_is_never_empty(root: Path, make_module: MakeModule) -> None:
    damage(root, "val", "val-00000004")
    stream = make_module(root, batch_size=1, max_bad_fraction=0.1).val_dataloader()
    batches = list(stream)
    assert len(batches) == CONFIG.num_val
    assert {len(batch.keys) for batch in batches} == {1}


def test_too_many_broken_samples_stop_the_run_with_a_summary(root: Path, make_module: MakeModule) -> None:
    damage(root, "train", *(f"train-{k:08d}" for k in range(5, 25)))
    stream = make_module(root, max_bad_fraction=0.05).train_dataloader()
    with pytest.raises(
        RuntimeError, match=r"6 of \d+ train samples read are broken.*max_bad_fraction = 0\.05"
    ):
        list(stream)


def test_a_fully_broken_bucket_stops_the_run(root: Path, make_module: MakeModule) -> None:
    damage(root, "train", *(f"train-{k:08d}" for k in range(CONFIG.num_train)))
    with pytest.raises(RuntimeError, match="samples after it are unreadable; last cause: undecodable image"):
        list(make_module(root, max_bad_fraction=1.0).train_dataloader())


def test_a_shard_cut_short_while_training_breaks_only_its_samples(
    root: Path, make_module: MakeModule
) -> None:
    stream = make_module(root, max_bad_fraction=0.9).train_dataloader()
    shard = root / "train" / "00002.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    assert len(list(stream)) == len(stream)
    assert list(stream.faults.causes) == [f"its shard is cut short in {shard}"]


# ---- errors before any training ----


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


def test_plans_do_not_depend_on_the_process(make_module: MakeModule) -> None:
    first = make_module().train_dataloader().requests.plan(5)
    assert np.array_equal(first.samples, make_module().train_dataloader().requests.plan(5).samples)
