"""Encode the samples of a shard for a cache: images to tokenizer features, captions to text states."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from datamodules.cache_writing import Encoded
from datamodules.caching import caption_name
from datamodules.captions import texts_to_draw
from datamodules.decode import BrokenSampleError, bucket_pixels
from datamodules.index import SampleRow, ShardIndex, read_sample
from datamodules.members import SampleBytes
from datamodules.reader import to_float
from datamodules.storage import ShardFile, open_file
from infinity.schedules import Resolution, nearest_aspect_ratio
from infinity.text import TextEncoder
from infinity.vae import VAE
from infinity.vae.parts import encode_in_parts

__all__ = ["FeatureEncoding", "TextEncoding"]

_READ_AHEAD = 2**23


@dataclass
class _Encoding:
    """Reads the samples of a shard one after the other, and prepares a few batches ahead in threads.

    A failing disk or network stops it, as the sample may be sound: called again, it goes on.
    """

    index: ShardIndex
    pool: Executor
    batch_size: int

    needs_image: ClassVar[bool]

    def __call__(self, rows: range) -> Encoded:
        unusable: list[tuple[int, str]] = []
        if rows:
            location = self.index.location(self.index[rows.start].shard)
            with closing(open_file(location, _READ_AHEAD)) as file:
                yield from self._encoded(self._prepared(rows, file, unusable))
        yield from unusable

    def _prepared(
        self, rows: range, file: ShardFile, unusable: list[tuple[int, str]]
    ) -> Iterator[tuple[int, Any]]:
        """(Sample, what is encoded of it), in order."""
        pending: deque[tuple[int, Future[Any]]] = deque()

        def usable(num_left: int) -> Iterator[tuple[int, Any]]:
            while len(pending) > num_left:
                sample, future = pending.popleft()
                try:
                    yield sample, future.result()
                except BrokenSampleError as error:
                    unusable.append((sample, str(error)))

        for sample in rows:
            row = self.index[sample]
            try:
                data = read_sample(file, row, with_image=self.needs_image)
            except BrokenSampleError as error:
                unusable.append((sample, str(error)))
                continue
            pending.append((sample, self.pool.submit(self._prepare, row, data)))
            yield from usable(4 * self.batch_size)
        yield from usable(0)

    def _prepare(self, row: SampleRow, data: SampleBytes) -> Any:
        """What is encoded of a sample; works in a thread."""
        raise NotImplementedError

    def _encoded(self, prepared: Iterator[tuple[int, Any]]) -> Encoded:
        raise NotImplementedError


@dataclass
class FeatureEncoding(_Encoding):
    """Images of one bucket at a time through the tokenizer's encoder.

    Args:
        autocast: with convolutions in bfloat16, as under ``trainer.precision`` bf16-mixed.
    """

    vae: VAE
    resolution: Resolution
    max_pixels: int
    device: torch.device
    autocast: bool

    needs_image: ClassVar[bool] = True

    def _prepare(self, row: SampleRow, data: SampleBytes) -> tuple[float, np.ndarray]:
        ratio = nearest_aspect_ratio(row.height, row.width, self.resolution.aspect_ratios)
        return ratio, bucket_pixels(data.image, *self.resolution.image_size(ratio), self.max_pixels)

    def _encoded(self, prepared: Iterator[tuple[int, tuple[float, np.ndarray]]]) -> Encoded:
        waiting: dict[float, list[tuple[int, np.ndarray]]] = defaultdict(list)
        for sample, (ratio, pixels) in prepared:
            waiting[ratio].append((sample, pixels))
            if len(waiting[ratio]) == self.batch_size:
                yield from self._encode(waiting.pop(ratio))
        for rest in waiting.values():
            yield from self._encode(rest)

    @torch.no_grad()
    def _encode(self, batch: list[tuple[int, np.ndarray]]) -> Encoded:
        # filled up, as another batch size rounds differently: so an image has its features in any company
        samples, pixels = zip(*batch, *batch[-1:] * (self.batch_size - len(batch)), strict=True)
        images_B3HW = to_float(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).to(self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
            features_BDHW = encode_in_parts(self.vae, images_B3HW).cpu()
        for sample, features_DHW in zip(samples[: len(batch)], features_BDHW, strict=False):
            yield sample, {"features": features_DHW.contiguous()}


@dataclass
class TextEncoding(_Encoding):
    """All captions of some kinds through the text encoder."""

    text: TextEncoder
    captions: tuple[str, ...]
    dtype: torch.dtype

    needs_image: ClassVar[bool] = False

    def _prepare(self, row: SampleRow, data: SampleBytes) -> list[str]:
        return texts_to_draw(data.text, data.meta, self.captions)

    def _encoded(self, prepared: Iterator[tuple[int, list[str]]]) -> Encoded:
        waiting: list[tuple[int, list[str]]] = []
        for found in prepared:
            waiting.append(found)
            if len(waiting) == self.batch_size:
                yield from self._encode(waiting)
                waiting = []
        if waiting:
            yield from self._encode(waiting)

    @torch.no_grad()
    def _encode(self, batch: list[tuple[int, list[str]]]) -> Encoded:
        captions = list(dict.fromkeys(caption for _, texts in batch for caption in texts))
        states_BME, mask_BM = self.text.encode(captions)
        rows = zip(captions, states_BME, mask_BM, strict=True)
        states = {caption: state[mask].to("cpu", self.dtype) for caption, state, mask in rows}
        for sample, texts in batch:
            yield sample, {caption_name(caption): states[caption] for caption in texts}
