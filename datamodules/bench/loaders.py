"""The loader and what it is measured against: all decode the same files to batches of one shape.

Bare decoding is a plain loop: decode, resize, stack, with as many processes and nothing handed over; once
with Pillow alone, as the other loaders decode, and once with this loader's decoder. The others hand float
batches in [-1, 1] with captions to this process, as a training step takes them.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.decode import bucket_pixels
from datamodules.index import Member, ShardIndex, read_member
from datamodules.module import ImageTextDataModule
from infinity.schedules import Resolution

__all__ = ["LOADERS", "Bare", "BenchData", "Loader", "Ours"]

_PREFETCH = 2
_MAX_PIXELS = 2**26
_EXTENSIONS = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True, kw_only=True)
class BenchData:
    """What all candidates read.

    Args:
        root: data set directory with the split ``train``.
        loose: folder of the same images and captions as files.
        size: height and width of the batches.
    """

    root: Path
    loose: Path
    size: int
    batch_size: int

    @property
    def resolution(self) -> Resolution:
        return Resolution(stride=self.size // 16, sides=(1, 2, 4, 8, 16))


class Loader(Protocol):
    """One way to read the data with some number of worker processes."""

    def __init__(self, data: BenchData, num_workers: int) -> None: ...

    def read(self) -> int:
        """Pass over the data once; returns the number of images."""
        ...

    def read_first(self) -> None:
        """Get the first batch."""
        ...

    def close(self) -> None: ...


class _Pair(NamedTuple):
    pixels: np.ndarray  # uint8 (H, W, 3)
    caption: str


def _pixels(data: bytes, size: int) -> np.ndarray:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BICUBIC))


def _collate(pairs: Sequence[_Pair]) -> tuple[Tensor, list[str]]:
    stacked = torch.from_numpy(np.stack([pair.pixels for pair in pairs]))
    return stacked.permute(0, 3, 1, 2).float().div(127.5).sub(1), [pair.caption for pair in pairs]


class _Place(NamedTuple):
    shard: str
    image: Member


_Decoder = Callable[[bytes, int], np.ndarray]


def _our_pixels(data: bytes, size: int) -> np.ndarray:
    return bucket_pixels(data, size, size, _MAX_PIXELS)


def _decode_places(places: Sequence[_Place], batch_size: int, size: int, decoder: _Decoder) -> int:
    shards = sorted({place.shard for place in places})
    descriptors = {shard: os.open(shard, os.O_RDONLY) for shard in shards}
    for start in range(0, len(places), batch_size):
        images = [
            decoder(read_member(descriptors[place.shard], place.image) or b"", size)
            for place in places[start : start + batch_size]
        ]
        np.stack(images)
    for descriptor in descriptors.values():
        os.close(descriptor)
    return len(places)


class Bare:
    """Decoding alone, with Pillow."""

    decoder: ClassVar[_Decoder] = staticmethod(_pixels)

    def __init__(self, data: BenchData, num_workers: int) -> None:
        index = ShardIndex.load(data.root / "train")
        rows = [index[number] for number in range(len(index))]
        places = [_Place(str(index.shard_path(row.shard)), row.image) for row in rows]
        self.parts = [places[part :: max(num_workers, 1)] for part in range(max(num_workers, 1))]
        self.decode = partial(
            _decode_places, batch_size=data.batch_size, size=data.size, decoder=type(self).decoder
        )
        self.batch_size = data.batch_size
        self.pool = ProcessPoolExecutor(num_workers) if num_workers else None

    def read(self) -> int:
        return sum(self.pool.map(self.decode, self.parts) if self.pool else map(self.decode, self.parts))

    def read_first(self) -> None:
        self.decode(self.parts[0][: self.batch_size])

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown()


class BareOurs(Bare):
    """Decoding alone, with this loader's decoder."""

    decoder: ClassVar[_Decoder] = staticmethod(_our_pixels)


class _Iterated:
    """A loader that is an iterable over batches."""

    def __init__(self, batches: Iterable[Any], captions_of: Callable[[Any], list[str]]) -> None:
        self.batches = batches
        self.captions_of = captions_of

    def read(self) -> int:
        return sum(len(self.captions_of(batch)) for batch in self.batches)

    def read_first(self) -> None:
        next(iter(self.batches))

    def close(self) -> None:
        del self.batches


class Ours(_Iterated):
    """The data module's training stream."""

    def __init__(self, data: BenchData, num_workers: int) -> None:
        self.module = ImageTextDataModule(
            str(data.root), data.resolution, data.batch_size, num_workers, prefetch=_PREFETCH
        )
        super().__init__(self.module.train_dataloader(), lambda batch: batch.captions)

    def close(self) -> None:
        self.module.teardown()


class PlainWebDataset(_Iterated):
    """webdataset as its documentation shows it: shards over workers, a buffer to shuffle, WebLoader."""

    def __init__(self, data: BenchData, num_workers: int) -> None:
        import webdataset

        shards = sorted(map(str, (data.root / "train").glob("*.tar")))
        samples = (
            webdataset.WebDataset(shards, shardshuffle=len(shards), empty_check=False)
            .shuffle(100)
            .map(partial(_webdataset_pair, size=data.size))
            .batched(data.batch_size, collation_fn=_collate, partial=False)
        )
        super().__init__(
            webdataset.WebLoader(samples, batch_size=None, num_workers=num_workers, **_workers(num_workers)),
            lambda batch: batch[1],
        )


def _webdataset_pair(sample: dict[str, bytes], size: int) -> _Pair:
    image = next(sample[extension] for extension in _EXTENSIONS if extension in sample)
    return _Pair(_pixels(image, size), sample.get("txt", b"").decode())


class LooseFiles(_Iterated):
    """PyTorch's DataLoader over a folder of images with captions beside them."""

    def __init__(self, data: BenchData, num_workers: int) -> None:
        loader = DataLoader(
            _Folder(data.loose, data.size),
            data.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=num_workers,
            collate_fn=_collate,
            **_workers(num_workers),
        )
        super().__init__(loader, lambda batch: batch[1])


class _Folder(Dataset[_Pair]):
    def __init__(self, folder: Path, size: int) -> None:
        self.paths = sorted(path for path in folder.iterdir() if path.suffix != ".txt")
        self.size = size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> _Pair:
        path = self.paths[index]
        return _Pair(_pixels(path.read_bytes(), self.size), path.with_suffix(".txt").read_text())


def _workers(num_workers: int) -> dict[str, Any]:
    return {"persistent_workers": True, "prefetch_factor": _PREFETCH} if num_workers else {}


LOADERS: dict[str, type[Loader]] = {
    "bare decode": Bare,
    "bare decode, ours": BareOurs,
    "ours": Ours,
    "webdataset": PlainWebDataset,
    "loose files": LooseFiles,
}
