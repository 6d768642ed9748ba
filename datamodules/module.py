"""The Lightning data module: data sets in, batches of images and captions out."""

from __future__ import annotations

import logging
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule

from datamodules.bucketing import BatchSequence, EvaluationOrder
from datamodules.caching import CachedSamples, SampleCache, open_caches
from datamodules.captions import MAIN_KIND, CaptionChoice
from datamodules.mixture import DataSource, samples_per_epoch
from datamodules.order import Source, TrainingOrder, block_bounds, block_size, joined_bounds
from datamodules.order_summary import order_summary
from datamodules.reader import BatchReader
from datamodules.split_data import SplitData, open_split
from datamodules.stream import BatchStream, FaultCounter, Position, Requests
from infinity.schedules import Resolution

__all__ = ["ImageTextDataModule"]

log = logging.getLogger(__name__)

_ORDER_VERSION = 2
"""Of the functions that make the training sequence: it goes up whenever they give another one."""


class ImageTextDataModule(LightningDataModule):
    """Streams the shards of ``root/<split>``, or of several data sets, in aspect-ratio buckets.

    The training sequence of global batches is a function of `seed`, the epoch and the global batch size
    (`batch_size` times the number of ranks) alone. The state kept in checkpoints is the number of global
    batches handed out, so a run goes on with the very next one, also on another number of ranks or workers
    with the same global batch size.

    Args:
        root: data set directory (`python -m datamodules prepare | pack | index`); empty with a `mixture`.
        resolution: image shapes; an image goes to the bucket of the nearest aspect ratio, is resized to cover
            the bucket's size and cropped at the centre.
        batch_size: samples per rank and step.
        num_workers: decoding processes per rank and split.
        seed: of the order.
        train_split: subfolder of `root`; so are `val_split` and `test_split`.
        max_bad_fraction: share of unreadable samples that a run endures. Each is named in the log; in
            training a readable one behind it takes its place, in validation it is left out.
        max_pixels: larger images count as unreadable.
        prefetch: batches that each worker keeps ready.
        worker_context: how workers are started; the platform's default if not given.
        mixture: several data sets with the weights that they are drawn with, in place of `root`.
        shuffle_window: samples that are shuffled together. A data set that is not larger is shuffled as a
            whole, a larger one is read mostly shard by shard.
        captions: kinds of captions and the weights that they are drawn with, by seed, epoch and key (in
            validation the weightiest kind is taken); none for the main caption alone.
        caches: directories of cached features or text states (`python -m datamodules cache`).
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
        mixture: tuple[DataSource, ...] = (),
        shuffle_window: int = 2**18,
        captions: dict[str, float] | None = None,
        caches: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("prefetch", prefetch, 1),
            ("shuffle_window", shuffle_window, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}, got {value}")
        if not 0 <= max_bad_fraction <= 1:
            raise ValueError(f"max_bad_fraction must be in [0, 1], got {max_bad_fraction}")
        if bool(root) == bool(mixture):
            got = f"root {root} and a mixture of {len(mixture)}" if root else "neither"
            raise ValueError(f"data.root names one data set or data.mixture several, got {got}")
        self.sources = tuple(mixture) or (DataSource(root=root),)
        self.is_mixture = bool(mixture)
        self.resolution = resolution
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.splits = {"train": train_split, "val": val_split, "test": test_split}
        self.max_bad_fraction = max_bad_fraction
        self.max_pixels = max_pixels
        self.prefetch = prefetch
        self.worker_context = worker_context
        self.shuffle_window = shuffle_window
        self.captions = captions or {}
        CaptionChoice(self.captions, seed)  # refuses weights that say nothing
        self.cache_directories = tuple(caches)
        self._position = Position()
        self._resumed: dict[str, Any] | None = None
        self._opened: dict[str, SplitData] = {}
        self._caches: dict[str, dict[str, CachedSamples]] = {}
        self._order: TrainingOrder | None = None
        self._streams: dict[str, BatchStream] = {}

    def __getstate__(self) -> dict[str, Any]:
        # workers belong to one process, and what is large is found again
        return {**self.__dict__, "_streams": {}, "_opened": {}, "_caches": {}, "_order": None}

    def setup(self, stage: str | None = None) -> None:
        """Open and check the indices that a stage needs: all shards there and whole, images large enough."""
        roles: dict[str, tuple[str, ...]] = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
        if self.trainer and not self.trainer.limit_val_batches:
            roles["fit"] = ("train",)
        for role in roles.get(stage or "", tuple(self.splits)):
            self._data(role)

    def teardown(self, stage: str | None = None) -> None:
        """End the workers."""
        while self._streams:
            self._streams.popitem()[1].close()

    def train_dataloader(self) -> BatchStream:
        data = self._data("train")
        self._order = order = self._training_order(data)
        ratios, samples = self.resolution.aspect_ratios, order.epoch(0).samples_per_bucket.tolist()
        if not len(order):
            raise ValueError(
                f"no aspect-ratio bucket of {data.name} ({sum(samples)} samples in all) fills a "
                f"global batch of {order.global_batch}; use a smaller batch_size"
            )
        self._check_resumed()
        names = data.names if self.is_mixture else ()
        log.info("%s: %s", data.name, order_summary(order, self.resolution, names))
        small = [ratio for ratio, size in zip(ratios, samples, strict=True) if 0 < size < order.global_batch]
        if small:
            log.warning(
                "the aspect ratios %s have fewer samples than a global batch of %d and are never drawn",
                *(small, order.global_batch),
            )
        return self._stream("train", order)

    def val_dataloader(self) -> BatchStream:
        return self._evaluation_stream("val")

    def test_dataloader(self) -> BatchStream:
        return self._evaluation_stream("test")

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._position.batches, **self._identity()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after the batches of a checkpoint; checked against the data when training starts."""
        self._resumed = state_dict
        self._position.batches = state_dict["batches"]
        if self._order is not None:  # some strategies read checkpoints only then
            self._check_resumed()

    @property
    def caches(self) -> list[SampleCache]:
        """The caches that are open, of all splits."""
        contents = (content for split in self._caches.values() for content in split.values())
        return [cache for content in contents for cache in content.caches]

    @property
    def num_ranks(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    @property
    def rank(self) -> int:
        return self.trainer.global_rank if self.trainer else 0

    @property
    def global_batch_size(self) -> int:
        return self.batch_size * self.num_ranks

    def _training_order(self, data: SplitData) -> TrainingOrder:
        ends, drawn = np.cumsum([0, *map(len, data.parts)]).tolist(), _drawn(data)
        in_window = [self.shuffle_window * count / sum(drawn) for count in drawn]
        return TrainingOrder(
            data.buckets,
            joined_bounds(
                [
                    block_bounds(part.shard_starts, block_size(count))
                    for part, count in zip(data.parts, in_window, strict=True)
                ]
            ),
            num_buckets=len(self.resolution.aspect_ratios),
            global_batch=self.global_batch_size,
            seed=self.seed,
            shuffle_window=self.shuffle_window,
            sources=[Source(*place) for place in zip(ends, ends[1:], drawn, strict=False)],
        )

    def _identity(self) -> dict[str, Any]:
        """What the training sequence is a function of."""
        data = self._data("train")
        return {
            "order_version": _ORDER_VERSION,
            "index": data.index.fingerprint,
            "samples_per_epoch": _drawn(data),
            "aspect_ratios": list(self.resolution.aspect_ratios),
            "global_batch_size": self.global_batch_size,
            "seed": self.seed,
            "shuffle_window": self.shuffle_window,
        }

    def _check_resumed(self) -> None:
        if self._resumed is None:
            return
        saved, ours = self._resumed, self._identity()
        different = [
            f"{name} = {saved.get(name)}, this run has {value}"
            for name, value in ours.items()
            if saved.get(name) != value
        ]
        if not different:
            return
        advice = "set it back" if len(different) == 1 else "set them back"
        per_rank, rest = divmod(saved.get("global_batch_size", 1), self.num_ranks)
        if saved.get("order_version") != _ORDER_VERSION:
            advice = "go on with the version of this code that wrote it"
        elif len(different) == 1 and saved["global_batch_size"] != self.global_batch_size and not rest:
            advice = f"set data.batch_size to {per_rank} on {self.num_ranks} ranks"
        raise ValueError(
            f"the checkpoint's data order has {'; '.join(different)}, so it can't go on exactly; {advice}, "
            f"or start anew from the weights"
        )

    def _data(self, role: str) -> SplitData:
        split = self.splits[role]
        if split not in self._opened:
            needed = split == self.splits["train"]
            self._opened[split] = open_split(self.sources, split, self.resolution, needed=needed)
            self._caches[split] = open_caches(
                self.cache_directories,
                split,
                self._opened[split].parts,
                resolution=self.resolution,
                max_pixels=self.max_pixels,
                captions=self.captions or (MAIN_KIND,),
            )
        return self._opened[split]

    def _evaluation_stream(self, role: str) -> BatchStream:
        return self._stream(role, EvaluationOrder(self._data(role).buckets, self.global_batch_size))

    def _stream(self, role: str, batches: BatchSequence) -> BatchStream:
        data, training = self._data(role), role == "train"
        if role in self._streams:  # Lightning can ask for a new one in every epoch
            self._streams[role].close()
        # in evaluation, the broken ones of a damaged shard can come all at once
        num_floor = max(min(len(data.index), 1000), 0 if training else len(data.index) // self.num_ranks)
        self._streams[role] = stream = BatchStream(
            BatchReader(
                data.index,
                data.buckets,
                self.resolution,
                keep_size=training,
                max_pixels=self.max_pixels,
                captions=CaptionChoice(self.captions, self.seed if training else None),
                caches=self._caches[data.name],
                needs_pixels=not training,  # validations draw pictures
            ),
            Requests(
                batches,
                self.resolution.aspect_ratios,
                rank=self.rank,
                num_ranks=self.num_ranks,
                position=self._position if training else None,
            ),
            FaultCounter(data.name, num_floor, self.max_bad_fraction),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            prefetch=self.prefetch,
            worker_context=self.worker_context,
            device=self.trainer.strategy.root_device if self.trainer else torch.device("cpu"),
        )
        return stream


def _drawn(data: SplitData) -> list[int]:
    return samples_per_epoch(data.sources, [len(part) for part in data.parts])
