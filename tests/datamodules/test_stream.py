"""One order whatever reads it, exact resume, validation exactly once."""

from __future__ import annotations

import pickle
import shutil
from functools import partial
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from datamodules.module import ImageTextDataModule
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch
from tests.datamodules.conftest import CONFIG, RESOLUTION, MakeModule, global_keys, keys, on_rank


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
@pytest.mark.parametrize("shuffle_window", [10**6, 40])
def test_ranks_share_the_sequence_of_global_batches(
    make_module: MakeModule, num_ranks: int, shuffle_window: int
) -> None:
    windowed = partial(make_module, shuffle_window=shuffle_window)
    alone = global_keys(windowed, 1, 30, batch_size=8)
    assert global_keys(windowed, num_ranks, 30, batch_size=8 // num_ranks) == alone


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
        ({"seed": 3}, "has seed = 0, this run has 3, so it can't go on exactly; set it back, or start anew"),
        ({"shuffle_window": 99}, r"has shuffle_window = 262144, this run has 99, so .*; set it back, or"),
        (
            {"batch_size": 5},
            r"has global_batch_size = 4, this run has 5, .*; set data.batch_size to 4 on 1 r",
        ),
        (
            {"batch_size": 5, "seed": 3},
            r"has global_batch_size = 4, this run has 5; seed = 0, this run has 3, so .*; set them back, or",
        ),
    ],
)
def test_a_checkpoint_of_another_order_is_refused(
    make_module: MakeModule, options: dict[str, int], message: str
) -> None:
    module = make_module(**options)
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(ValueError, match=message):
        module.train_dataloader()


def test_a_checkpoint_of_other_ranks_says_which_batch_size_fits(make_module: MakeModule) -> None:
    module = on_rank(make_module(), 0, 2)
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(
        ValueError, match="set data.batch_size to 2 on 2 ranks, or start anew from the weights"
    ):
        module.train_dataloader()


def test_a_checkpoint_of_an_older_order_is_refused(make_module: MakeModule) -> None:
    module, state = make_module(), make_module().state_dict()
    del state["order_version"], state["shuffle_window"], state["samples_per_epoch"]
    module.load_state_dict(state)
    with pytest.raises(
        ValueError, match=r"order_version = None, this run has 2.*; go on with the version of"
    ):
        module.train_dataloader()


def test_a_checkpoint_may_be_read_after_the_loader_is_made(make_module: MakeModule) -> None:
    straight, first = keys(make_module(), 30), make_module()
    keys(first, 11)
    module = make_module()
    stream = module.train_dataloader()  # as strategies that shard do
    module.load_state_dict(first.state_dict())
    assert [batch.keys for batch in islice(stream, 19)] == straight[11:]
    with pytest.raises(ValueError, match="has seed = 1, this run has 0"):
        module.load_state_dict(make_module(seed=1).state_dict())


def test_a_checkpoint_of_other_data_is_refused(root: Path, make_module: MakeModule) -> None:
    (root / "val").rename(root / "other")
    module = ImageTextDataModule(str(root), RESOLUTION, 4, train_split="other")
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(ValueError, match="data order has index = "):
        module.train_dataloader()


def test_a_checkpoint_of_other_aspect_ratios_is_refused(shared_root: Path, make_module: MakeModule) -> None:
    module = ImageTextDataModule(str(shared_root), Resolution(stride=8, sides=(1, 2, 4)), 4)
    module.load_state_dict(make_module().state_dict())
    with pytest.raises(ValueError, match=r"has aspect_ratios = \[0\.6, 1\.0, .*\], this run has \[1\.0\]"):
        module.train_dataloader()


def test_loaders_that_are_asked_for_again_leave_no_workers_behind(make_module: MakeModule) -> None:
    module, before = make_module(num_workers=1), len(active_children())
    for _ in range(3):  # as with trainer.reload_dataloaders_every_n_epochs
        next(iter(module.train_dataloader()))
        next(iter(module.val_dataloader()))
    assert len(active_children()) == before + 2
    module.teardown()
    assert len(active_children()) == before


class Recorder(LightningModule):
    """Remembers the keys it was given; may read the number of steps first, as schedulers do."""

    def __init__(self, *, reads_steps: bool) -> None:
        super().__init__()
        self.reads_steps = reads_steps
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[list[str]] = []
        self.validated: list[str] = []

    def training_step(self, batch: ImageTextBatch, _: int) -> torch.Tensor:
        self.trained.append(batch.keys)
        return self.weight * batch.images_B3HW.mean()

    def validation_step(self, batch: ImageTextBatch, _: int) -> None:
        self.validated += batch.keys

    def configure_optimizers(self) -> torch.optim.Optimizer:
        if self.reads_steps:  # then Lightning drops the state of loaders that have one (its issue 20550)
            assert self.trainer.estimated_stepping_batches
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("behind", [3, 0])
def test_a_trainer_resumes_exactly_in_an_epoch_and_at_its_end(
    make_module: MakeModule, tmp_path: Path, behind: int
) -> None:
    def fit(max_steps: int, checkpoint: Path | None = None, *, reads_steps: bool = True) -> Recorder:
        model = Recorder(reads_steps=reads_steps)
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
    straight = keys(make_module(), 2 * per_epoch + 5)
    stop = per_epoch + behind
    assert fit(stop).trained == straight[:stop]
    for reads_steps in (True, False):
        resumed = fit(2 * per_epoch + 5, tmp_path / f"{stop}.ckpt", reads_steps=reads_steps)
        assert resumed.trained == straight[stop:]
        assert len(resumed.validated) == CONFIG.num_val  # once, at the end of the second epoch


@pytest.mark.parametrize(("num_ranks", "num_workers"), [(1, 0), (1, 2), (2, 2), (3, 0), (10, 0), (30, 0)])
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
        for step in zip(*batches, strict=True):
            assert len({batch.images_B3HW.shape[1:] for batch in step}) == 1
            assert step[0].counts
        assert all(batch.counts for own in batches for batch in own) == (num_ranks < 10)
        seen = [key for own in batches for batch in own if batch.counts for key in batch.keys]
        assert sorted(seen) == [f"val-{k:08d}" for k in range(CONFIG.num_val)]
        assert sum(batch.weight for own in batches for batch in own) == CONFIG.num_val


@pytest.mark.filterwarnings("ignore")
def test_training_without_validation_needs_no_validation_samples(root: Path, make_module: MakeModule) -> None:
    shutil.rmtree(root / "val")
    model = Recorder(reads_steps=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        max_steps=1, accelerator="cpu", limit_val_batches=0, enable_model_summary=False, **quiet
    )
    trainer.fit(model, datamodule=make_module(root))
    assert model.trained == keys(make_module(), 1)
    with pytest.raises(
        ValueError, match=r"has no split val, .*\(trainer\.limit_val_batches 0 trains without"
    ):
        make_module(root).setup("fit")
