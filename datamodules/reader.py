"""Read, decode and stack the samples of a batch, by their places in the shards: what the workers do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.caching import CachedSamples, caption_name
from datamodules.captions import CaptionChoice
from datamodules.decode import bucket_pixels
from datamodules.index import ShardIndex, read_sample
from datamodules.mixture import JoinedIndex
from datamodules.open_files import OpenFiles
from datamodules.slots import InSlot, PixelSlots
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch, TextStates

__all__ = ["BatchReader", "BatchRequest", "LoadedBatch", "to_float"]

_NEIGHBOURS = 16
_CHUNK = 2**16


class BatchRequest(NamedTuple):
    """A rank's part of a global batch."""

    aspect_ratio: float
    samples: tuple[int, ...]
    counts: bool = True  # False: of a validation batch that has too few samples for all ranks
    epoch: int = 0  # captions are drawn by it
    number: int = 0  # in the sequence of batches


class LoadedBatch(NamedTuple):
    batch: ImageTextBatch | None  # images are uint8; None if a substitute was needed and none found
    pixels: InSlot | None  # where the images are if the batch has none
    num_read: int  # samples that were asked for
    broken: list[tuple[str, str]]  # (key, cause) of those that can't be used
    missing_captions: list[str]  # per sample without the kind of caption that was drawn: that kind


class _Loaded(NamedTuple):
    key: str
    caption: str
    missing_caption: str | None
    pixels: np.ndarray | None  # uint8 (H, W, 3)
    features: Tensor | None  # (D, h, w)
    states: Tensor | None  # (M, E)


class BatchReader(Dataset[LoadedBatch]):
    """Reads, decodes and stacks requested batches: what the workers run.

    Args:
        buckets: number of every sample's aspect ratio.
        keep_size: replace a broken sample by a readable one of the same aspect ratio, found behind it in the
            index, so that training batches keep their size. Otherwise (validation) it is left out; only a
            batch of which nothing is left gets one such substitute, as a rank can't skip a step.
        max_pixels: larger images are refused before they are decoded.
        captions: which one of a sample is taken.
        caches: of "features" and "text"; what they hold comes with the batch.
        needs_pixels: decode images even if their features are cached.

    With `slots`, pixels are handed over in shared memory.
    """

    def __init__(
        self,
        index: ShardIndex | JoinedIndex,
        buckets: np.ndarray,
        resolution: Resolution,
        *,
        keep_size: bool,
        max_pixels: int,
        captions: CaptionChoice,
        caches: Mapping[str, CachedSamples],
        needs_pixels: bool = True,
    ) -> None:
        self.index = index
        self.buckets = buckets
        self.resolution = resolution
        self.keep_size = keep_size
        self.max_pixels = max_pixels
        self.captions = captions
        self.caches = caches
        self.needs_pixels = needs_pixels or "features" not in caches
        self.slots: PixelSlots | None = None
        self._files = OpenFiles()

    def __getitem__(self, request: BatchRequest) -> LoadedBatch:
        broken: list[tuple[str, str]] = []
        samples = []
        for number in request.samples:
            sample = self._load(number, request, broken)
            if sample is None and self.keep_size:
                sample = self._substitute(number, request)
                if sample is None:
                    return LoadedBatch(None, None, len(request.samples), broken, [])
            if sample is not None:
                samples.append(sample)
        counts = request.counts and bool(samples)
        if not samples and (substitute := self._substitute(request.samples[0], request)):
            samples.append(substitute)
        missing = [sample.missing_caption for sample in samples if sample.missing_caption]
        batch = _stacked(samples, request.aspect_ratio, counts) if samples else None
        place, images = self._hand_over(request.number, samples)
        return LoadedBatch(
            batch and batch._replace(images_B3HW=images), place, len(request.samples), broken, missing
        )

    def _hand_over(self, number: int, samples: Sequence[_Loaded]) -> tuple[InSlot | None, Tensor | None]:
        """The images, or where they lie in shared memory."""
        pixels = [sample.pixels for sample in samples if sample.pixels is not None]
        if not pixels:
            return None, None
        place = self.slots.write(number, pixels) if self.slots else None
        # bytes, a quarter of floats: they become floats where they are used
        return place, None if place else torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)

    def _load(self, number: int, request: BatchRequest, broken: list[tuple[str, str]]) -> _Loaded | None:
        row = self.index[number]
        location = self.index.location(row.shard)
        pixels = features = states = None
        try:
            file = self._files[location]
            image, text, meta = read_sample(file, row, with_image=self.needs_pixels)
            if self.needs_pixels:
                size = self.resolution.image_size(request.aspect_ratio)
                pixels = bucket_pixels(image, *size, self.max_pixels)
            chosen = self.captions(text, meta, row.key, request.epoch)
            if "features" in self.caches:
                features = self.caches["features"].tensor(number, "features")
            if "text" in self.caches:
                states = self.caches["text"].tensor(number, caption_name(chosen.text))
            return _Loaded(row.key, *chosen, pixels, features, states)
        except (ValueError, OSError) as error:  # BrokenSampleError is a ValueError
            broken.append((row.key, f"{error} in {location}"))
            return None

    def _substitute(self, number: int, request: BatchRequest) -> _Loaded | None:
        """The first readable one of the next samples, then ever farther ones: damage comes in stretches.

        Broken ones among them don't count here: they are asked for themselves.
        """
        for place, other in enumerate(self._others_of_bucket(number), 1):
            if place <= _NEIGHBOURS or place.bit_count() == 1:
                sample = self._load(other, request, [])
                if sample is not None:
                    return sample
        return None

    def _others_of_bucket(self, number: int) -> Iterator[int]:
        """The samples that follow one in the index and have its aspect ratio, then those before it."""
        for start, stop in ((number + 1, len(self.buckets)), (0, number)):
            for low in range(start, stop, _CHUNK):
                chunk = self.buckets[low : min(low + _CHUNK, stop)]
                yield from (low + np.flatnonzero(chunk == self.buckets[number])).tolist()


def _stacked(samples: Sequence[_Loaded], aspect_ratio: float, counts: bool) -> ImageTextBatch:
    keys, captions, _, _, features, states = (list(column) for column in zip(*samples, strict=True))
    return ImageTextBatch(
        None,
        captions,
        keys,
        aspect_ratio,
        counts,
        None if features[0] is None else torch.stack(features),
        None if states[0] is None else TextStates.padded(states),
    )


def to_float(pixels_B3HW: Tensor) -> Tensor:
    """uint8 images to contiguous float ones in [-1, 1]."""
    images_B3HW = torch.empty(pixels_B3HW.shape, device=pixels_B3HW.device)
    if images_B3HW.device.type != "cpu":
        return images_B3HW.copy_(pixels_B3HW).div_(127.5).sub_(1.0)
    array = images_B3HW.numpy()  # in one thread: several would wait for each other on the workers' cores
    np.copyto(array, pixels_B3HW.numpy())
    array /= 127.5
    array -= 1.0
    return images_B3HW
