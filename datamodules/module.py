"""The Lightning data module: a data set directory in, batches of images and captions out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from lightning.pytorch import LightningDataModule

from datamodules.bucketing import BatchPlan, assign_buckets, plan_evaluation, plan_training
from datamodules.index import ShardIndex
from datamodules.reader import BatchReader
from datamodules.stream import BatchStream, FaultCounter, Position, Requests
from infinity.schedules import Resolution

__all__ = ["ImageTextDataModule"]

log = logging.getLogger(__name__)

_MAX_ENLARGEMENT = 2.0
_NOTABLE_CROP = 0.1


class ImageTextDataModule(LightningDataModule):
    """Streams the shards of ``root/<split>`` in aspect-ratio buckets.

    The training sequence of global batches is a function of `seed`, the epoch and the global batch size
    (`batch_size` times the number of ranks) alone. The state kept in checkpoints is the number of global
    batches handed out, so a run goes on with the very next one, also on another number of ranks or workers
    with the same global batch size.

    Args:
        root: data set directory (`python -m datamodules prepare | pack | index`).
        resolution: image shapes; an image goes to the bucket of the nearest aspect ratio, is resized to cover
            the bucket's size and cropped at the centre.
        batch_size: samples per rank and step.
        num_workers: decoding processes per rank and split.
        seed: of the order.
        train_split: subfolder of `root`; so are `val_split` and `test_split`.
        max_bad_fraction: share of unreadable samples that a run endures. Each is named in the log; in
            training the next readable sample takes its place, in validation it is left out.
        max_pixels: larger images count as unreadable.
        prefetch: batches that each worker keeps ready.
        worker_context: how workers are started; the platform's default if not given.
    """

    def __init__(
        self,
        root: str,
        resolution: Resolution,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        train_split: str = "train",
        val_split: str = "val",
        test_split: str = "val",
        max_bad_fraction: float = 0.01,
        max_pixels: int = 2**26,
        prefetch: int = 2,
        worker_context: Literal["fork", "spawn", "forkserver"] | None = None,
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch", prefetch, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not 0 <= max_bad_fraction <= 1:
            raise ValueError(f"max_bad_fraction must be in [0, 1], got {max_bad_fraction}")
        self.root = root
        self.resolution = resolution
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.splits = {"train": train_split, "val": val_split, "test": test_split}
        self.max_bad_fraction = max_bad_fraction
        self.max_pixels = max_pixels
        self.prefetch = prefetch
        self.worker_context = worker_context
        self._position = Position()
        self._resumed: dict[str, Any] | None = None
        self._indices: dict[str, ShardIndex] = {}
        self._streams: list[BatchStream] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_streams": []}  # workers belong to one process

    def setup(self, stage: str | None = None) -> None:
        """Open and check the indices that a stage needs: all shards there and whole, images large enough."""
        roles = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
        for role in roles.get(stage or "", tuple(self.splits)):
            self._index(role)

    def teardown(self, stage: str | None = None) -> None:
        """End the workers."""
        while self._streams:
            self._streams.pop().close()

    def train_dataloader(self) -> BatchStream:
        index = self._index("train")
        buckets, ratios = self._buckets(index), self.resolution.aspect_ratios
        plan = partial(_training_plan, buckets, self.global_batch_size, self.seed)
        first = plan(0)
        if not len(first):
            raise ValueError(
                f"no aspect-ratio bucket of {self.splits['train']} ({len(index)} samples in all) fills a "
                f"global batch of {self.global_batch_size}; use a smaller batch_size"
            )
        log.info("train: %d batches an epoch, %d samples left over", len(first), first.num_dropped)
        sizes = np.bincount(buckets, minlength=len(ratios))
        if small := [
            ratio for ratio, size in zip(ratios, sizes, strict=True) if 0 < size < self.global_batch_size
        ]:
            log.warning(
                "the aspect ratios %s have fewer samples than a global batch of %d and are never drawn",
                *(small, self.global_batch_size),
            )
        self._check_resumed()
        return self._stream("train", index, plan, self._position)

    def val_dataloader(self) -> BatchStream:
        return self._evaluation_stream("val")

    def test_dataloader(self) -> BatchStream:
        return self._evaluation_stream("test")

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._position.batches, **self._order()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the batches of a checkpoint; checked against the data when training starts."""
        self._resumed = state_dict
        self._position.batches = state_dict["batches"]

    @property
    def num_ranks(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.num_ranks

    def _order(self) -> dict[str, Any]:
        """What the training sequence is a function of."""
        return {
            "seed": self.seed,
            "global_batch_size": self.global_batch_size,
            "index": self._index("train").fingerprint,
            "aspect_ratios": list(self.resolution.aspect_ratios),
        }

    def _check_resumed(self) -> None:
        if self._resumed is None:
            return
        for name, value in self._order().items():
            if self._resumed.get(name) != value:
                raise ValueError(
                    f"the checkpoint's data order has {name} = {self._resumed.get(name)}, this run has "
                    f"{value}, so it can't go on exactly; set it back, or start anew from the weights"
                )

    def _open(self, split: str) -> ShardIndex:
        directory = Path(self.root) / split
        if not Path(self.root).is_dir():
            raise ValueError(
                f"no data set at {self.root}; make one with `make data` or `python -m datamodules prepare`"
            )
        index = ShardIndex.load(directory)
        index.verify()
        self._check_sizes(split, index)
        return index

    def _check_sizes(self, split: str, index: ShardIndex) -> None:
        ratios = self.resolution.aspect_ratios
        sizes = np.array([self.resolution.image_size(ratio) for ratio in ratios])
        heights, widths = sizes[self._buckets(index)].T
        across, down = widths / index.widths, heights / index.heights
        enlargement = float(np.median(np.maximum(across, down)))
        if enlargement > _MAX_ENLARGEMENT:
            raise ValueError(
                f"images of {self.root}/{split} (the first is {index.widths[0]}x{index.heights[0]}) would be "
                f"enlarged {enlargement:.3g} times to {sizes[0][1]}x{sizes[0][0]}; use larger images or a "
                f"smaller resolution"
            )
        cropped = float(np.mean(1 - np.minimum(across, down) / np.maximum(across, down)))
        if cropped > _NOTABLE_CROP:
            log.warning(
                "%s/%s: cropping to the configured aspect ratios %s cuts %.0f %% of the image area away",
                *(self.root, split, list(ratios), 100 * cropped),
            )

    def _index(self, role: str) -> ShardIndex:
        split = self.splits[role]
        if split not in self._indices:
            self._indices[split] = self._open(split)
        return self._indices[split]

    def _buckets(self, index: ShardIndex) -> np.ndarray:
        return assign_buckets(index.widths, index.heights, self.resolution.aspect_ratios)

    def _evaluation_stream(self, role: str) -> BatchStream:
        index = self._index(role)
        plan = plan_evaluation(self._buckets(index), self.global_batch_size, num_ranks=self.num_ranks)
        return self._stream(role, index, lambda epoch: plan, None)

    def _stream(
        self, role: str, index: ShardIndex, plan: Callable[[int], BatchPlan], position: Position | None
    ) -> BatchStream:
        training = position is not None
        # in the order of the index, the broken ones of a damaged shard can come all at once
        num_floor = min(len(index), 1000) if training else len(index)
        stream = BatchStream(
            BatchReader(index, self.resolution, keep_size=training, max_pixels=self.max_pixels),
            Requests(
                plan,
                self.resolution.aspect_ratios,
                rank=self.rank,
                num_ranks=self.num_ranks,
                position=position,
            ),
            FaultCounter(self.splits[role], num_floor, self.max_bad_fraction),
            num_workers=self.num_workers,
            prefetch=self.prefetch,
            worker_context=self.worker_context,
        )
        self._streams.append(stream)
        return stream


def _training_plan(buckets: np.ndarray, global_batch: int, seed: int, epoch: int) -> BatchPlan:
    return plan_training(buckets, global_batch, seed=seed, epoch=epoch)
