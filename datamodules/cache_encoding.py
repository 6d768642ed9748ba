"""Encode the samples of a shard for a cache: images to tokenizer features, captions to text states."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from datamodules.cache_writing import Encoded
from datamodules.caching import caption_name
from datamodules.captions import texts_to_draw
from datamodules.decode import BrokenSampleError, bucket_pixels
from datamodules.index import SampleRow, ShardIndex, read_member
from datamodules.open_files import OpenFiles
from datamodules.reader import to_float
from infinity.schedules import Resolution, nearest_aspect_ratio
from infinity.text import TextEncoder
from infinity.vae import VAE
from infinity.vae.parts import encode_in_parts

__all__ = ["FeatureEncoding", "TextEncoding"]


@dataclass
class _Encoding:
    """Reads samples one after the other, and prepares a few batches ahead in threads.

    Args:
        left_out: (key, cause) of unusable samples.
    """

    index: ShardIndex
    pool: Executor
    batch_size: int
    left_out: list[tuple[str, str]] = field(default_factory=list, kw_only=True)

    def __post_init__(self) -> None:
        self._files = OpenFiles()

    def _prepared(self, rows: range, prepare: Callable[..., Any], *members: str) -> Iterator[tuple[int, Any]]:
        """(Sample, what `prepare` makes of its row and members), in order."""
        pending: deque[tuple[int, SampleRow, Future[Any]]] = deque()
        for sample in rows:
            row = self.index[sample]
            try:
                file = self._files[self.index.location(row.shard)]
                data = [read_member(file, getattr(row, member)) for member in members]
            except (OSError, ValueError) as error:
                self.left_out.append((row.key, str(error)))
                continue
            pending.append((sample, row, self.pool.submit(prepare, row, *data)))
            if len(pending) > 4 * self.batch_size:
                yield from self._usable(*pending.popleft())
        while pending:
            yield from self._usable(*pending.popleft())

    def _usable(self, sample: int, row: SampleRow, future: Future[Any]) -> Iterator[tuple[int, Any]]:
        try:
            yield sample, future.result()
        except BrokenSampleError as error:
            self.left_out.append((row.key, str(error)))


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

    def __call__(self, rows: range) -> Encoded:
        waiting: dict[float, list[tuple[int, np.ndarray]]] = defaultdict(list)
        for sample, (ratio, pixels) in self._prepared(rows, self._pixels, "image"):
            waiting[ratio].append((sample, pixels))
            if len(waiting[ratio]) == self.batch_size:
                yield from self._encode(waiting.pop(ratio))
        for rest in waiting.values():
            yield from self._encode(rest)

    def _pixels(self, row: SampleRow, image: bytes | None) -> tuple[float, np.ndarray]:
        ratio = nearest_aspect_ratio(row.height, row.width, self.resolution.aspect_ratios)
        return ratio, bucket_pixels(image or b"", *self.resolution.image_size(ratio), self.max_pixels)

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

    def __call__(self, rows: range) -> Encoded:
        waiting: list[tuple[int, list[str]]] = []
        for found in self._prepared(rows, self._texts, "text", "meta"):
            waiting.append(found)
            if len(waiting) == self.batch_size:
                yield from self._encode(waiting)
                waiting = []
        if waiting:
            yield from self._encode(waiting)

    def _texts(self, row: SampleRow, text: bytes | None, meta: bytes | None) -> list[str]:
        return texts_to_draw(text, meta, self.captions)

    @torch.no_grad()
    def _encode(self, batch: list[tuple[int, list[str]]]) -> Encoded:
        captions = list(dict.fromkeys(caption for _, texts in batch for caption in texts))
        states_BME, mask_BM = self.text.encode(captions)
        rows = zip(captions, states_BME, mask_BM, strict=True)
        states = {caption: state[mask].to("cpu", self.dtype) for caption, state, mask in rows}
        for sample, texts in batch:
            yield sample, {caption_name(caption): states[caption] for caption in texts}
