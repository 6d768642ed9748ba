"""What only decoding tells: which images are broken, and which are there more than once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datamodules.decode import BrokenSampleError
from datamodules.duplicates import SIGNATURE, find_look_alikes, keep_one_of_each, signature_of
from datamodules.index import ShardIndex
from datamodules.sample_files import Chunk, SampleFiles, chunks_by_shard, each_chunk

__all__ = ["Duplicates", "Pixels", "find_duplicates", "read_pixels"]

_CHUNK = 64
_DIGEST = np.dtype("V16")
_EXAMPLES = 12


class Pixels(NamedTuple):
    """What decoding some samples of a split told."""

    numbers: np.ndarray  # (N,) the readable samples
    digests: np.ndarray  # (N,) of the encoded images
    signatures: np.ndarray  # (N,) of what is seen
    broken: Counter[str]  # causes

    @property
    def num_read(self) -> int:
        return len(self.numbers) + self.broken.total()


class _Reader:
    """Decodes a chunk: digests, signatures and the causes of broken images by place."""

    def __init__(self, index: ShardIndex, compare: bool) -> None:
        self.files = SampleFiles(index)
        self.compare = compare

    def __call__(self, chunk: Chunk) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        digests, signatures = np.zeros(len(chunk), _DIGEST), np.zeros(len(chunk), SIGNATURE)
        broken: dict[int, str] = {}
        for place, number in enumerate(chunk.tolist()):
            sample = self.files[number]
            try:
                image = sample.image
            except BrokenSampleError as error:
                broken[place] = str(error)
                continue
            if self.compare:
                digests[place] = np.void(hashlib.sha256(sample.image_bytes).digest()[:16])
                signatures[place] = signature_of(image)
        return digests, signatures, broken


def read_pixels(
    index: ShardIndex,
    numbers: np.ndarray,
    num_workers: int,
    progress: Callable[[int], None],
    *,
    compare: bool,
) -> Pixels:
    """Decode some samples (ascending numbers).

    Args:
        compare: also make what :func:`find_duplicates` compares.
    """
    parts = []
    broken: Counter[str] = Counter()
    chunks = chunks_by_shard(index, numbers, _CHUNK)
    workers = num_workers if len(numbers) > 10 * _CHUNK else 1  # else starting them takes longer
    for chunk, (digests, signatures, causes) in each_chunk(
        _Reader(index, compare), chunks, num_workers=workers
    ):
        broken.update(causes.values())
        whole = np.setdiff1d(np.arange(len(chunk)), list(causes))
        parts.append((chunk[whole], digests[whole], signatures[whole]))
        progress(len(chunk))
    if not parts:
        return Pixels(numbers[:0], np.zeros(0, _DIGEST), np.zeros(0, SIGNATURE), broken)
    found, digests, signatures = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(found)  # chunks come as they are done
    return Pixels(found[order], digests[order], signatures[order], broken)


@dataclass(frozen=True, kw_only=True)
class Duplicates:
    """What is in the data set more than once; copies are counted without their first.

    Args:
        exact: images whose bytes are those of another one.
        near: images that look like another one, exact copies among them.
        max_distance: bits of the 64 of a perceptual hash that may differ.
        max_color: mean difference of color thumbnails.
        leaked: samples of a split that look like some of the split `train`.
        groups: some groups of look-alikes, as (split, number) each.
    """

    num_compared: int
    exact: int
    near: int
    max_distance: int
    max_color: float
    leaked: Mapping[str, int]
    groups: Sequence[Sequence[tuple[str, int]]]


def find_duplicates(pixels: Mapping[str, Pixels], max_distance: int, max_color: float) -> Duplicates:
    """Compare all images of all splits."""
    splits = np.concatenate([np.full(len(part.numbers), place) for place, part in enumerate(pixels.values())])
    numbers = np.concatenate([part.numbers for part in pixels.values()])
    digests = np.concatenate([part.digests for part in pixels.values()])
    look_alikes = find_look_alikes(
        np.concatenate([part.signatures for part in pixels.values()]), max_distance, max_color
    )
    twins, _ = keep_one_of_each(look_alikes, np.zeros(len(numbers)))
    names = list(pixels)
    leaked = {}
    if "train" in names:
        in_train = np.zeros(look_alikes.num_classes, bool)
        in_train[look_alikes.classes[splits == names.index("train")]] = True
        near_train = in_train.copy()
        near_train[look_alikes.first[in_train[look_alikes.second]]] = True
        near_train[look_alikes.second[in_train[look_alikes.first]]] = True
        leaked = {
            name: int(near_train[look_alikes.classes[splits == place]].sum())
            for place, name in enumerate(names)
            if name != "train"
        }
    kept = np.unique(twins[twins >= 0])
    shown = np.random.default_rng(0).permutation(kept)[:_EXAMPLES]
    groups = [[one, *np.flatnonzero(twins == one).tolist()] for one in shown.tolist()]
    return Duplicates(
        num_compared=len(numbers),
        exact=len(digests) - len(np.unique(digests)),
        near=int((twins >= 0).sum()),
        max_distance=max_distance,
        max_color=max_color,
        leaked=leaked,
        groups=[[(names[splits[place]], int(numbers[place])) for place in group] for group in groups],
    )
