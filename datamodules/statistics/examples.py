"""Samples to look at: at random, the widest and tallest, and look-alikes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from datamodules.contact_sheet import Tile, thumbnail
from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex
from datamodules.sample_files import SampleFiles
from datamodules.statistics.pixels import Duplicates

__all__ = ["Gallery", "galleries"]

_RANDOM, _EXTREME, _COPIES = 24, 6, 4
_SIDE = 160


class Gallery(NamedTuple):
    title: str
    note: str
    tiles: Sequence[Tile]


def galleries(splits: Mapping[str, ShardIndex], duplicates: Duplicates | None) -> list[Gallery]:
    """All that there is to look at."""
    rng = np.random.default_rng(0)
    shares = np.array([len(index) for index in splits.values()], np.float64)
    counts = np.maximum(1, np.rint(_RANDOM * shares / shares.sum())).astype(int)
    random = [
        (split, number)
        for (split, index), count in zip(splits.items(), counts, strict=True)
        for number in np.sort(rng.choice(len(index), min(count, len(index)), replace=False)).tolist()
    ]
    found = [Gallery("Random samples", "Drawn from every split with a fixed seed.", _tiles(splits, random))]
    widest, tallest = _extremes(splits, 1), _extremes(splits, -1)
    if widest[0].ratio != tallest[0].ratio:
        note = f"The {_EXTREME} widest, then the {_EXTREME} tallest."
        extremes = [(one.split, one.number) for one in (*widest, *tallest)]
        found.append(Gallery("Extreme aspect ratios", note, _tiles(splits, extremes)))
    if duplicates is not None:
        note = f"Each next to what it looks like; {len(duplicates.groups)} groups, drawn with a fixed seed."
        tiles = [
            tile._replace(label=f"group {place}: {tile.label}")
            for place, group in enumerate(duplicates.groups, 1)
            for tile in _tiles(splits, group[:_COPIES])
        ]
        found.append(Gallery("Look-alikes", note, tiles))
    return [gallery for gallery in found if gallery.tiles]


class _Shape(NamedTuple):
    ratio: float
    split: str
    number: int


def _extremes(splits: Mapping[str, ShardIndex], sign: int) -> list[_Shape]:
    """The samples of the smallest (sign 1) or largest (sign -1) height / width."""
    found = []
    for split, index in splits.items():
        ratios = index.heights / index.widths
        for number in np.argsort(sign * ratios, kind="stable")[:_EXTREME].tolist():
            found.append(_Shape(float(ratios[number]), split, number))
    return sorted(found, key=lambda shape: sign * shape.ratio)[:_EXTREME]


def _tiles(splits: Mapping[str, ShardIndex], places: Iterable[tuple[str, int]]) -> list[Tile]:
    files = {split: SampleFiles(index) for split, index in splits.items()}
    tiles = []
    for split, number in places:
        sample = files[split][number]
        label = f"{split}, {sample.row.width} x {sample.row.height}"
        try:
            tiles.append(Tile(thumbnail(sample.image, _SIDE), label, sample.caption))
        except BrokenSampleError as error:
            tiles.append(Tile(None, label, str(error)))
    for one in files.values():
        one.close()
    return tiles
