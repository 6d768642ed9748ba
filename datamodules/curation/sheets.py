"""What a step drops, and what it barely lets pass, to look at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from datamodules.contact_sheet import TILE_SIDE, Band, Tile, contact_sheet, thumbnail
from datamodules.curation.step import Scored, Step, Verdict
from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex
from datamodules.sample_files import SampleFiles

__all__ = ["step_sheet"]

_SHOWN = 16


def step_sheet(title: str, step: Step, samples: Scored, verdict: Verdict) -> bytes:
    """A PNG of dropped samples, at random and nearest to staying, and of the kept ones nearest to going.

    Where a sample goes for another's sake, the two stand side by side.
    """
    dropped, kept = np.flatnonzero(~verdict.keep), np.flatnonzero(verdict.keep)
    random = np.random.default_rng(0).permutation(dropped)[:_SHOWN]
    files = SampleFiles(samples.index)

    def tiles(places: Iterable[int]) -> list[Tile]:
        return [_tile(files, int(samples.numbers[at]), f"{verdict.values[at]:.4g}") for at in places]

    if verdict.twin is None:
        bands = [
            Band("dropped, at random", tiles(random)),
            Band("dropped, nearest to staying", tiles(_nearest(verdict, dropped)[: _SHOWN // 2])),
            Band("kept, nearest to being dropped", tiles(_nearest(verdict, kept)[:_SHOWN])),
        ]
    else:
        pairs = [
            tile
            for at in random
            for tile in (
                _twin_tile(*verdict.twin(int(at))),
                _tile(files, int(samples.numbers[at]), f"dropped: {verdict.values[at]:g} bits differ"),
            )
        ]
        bands = [Band("pairs, at random", pairs)]
    files.close()
    heading = f"{title}: {len(dropped)} of {len(samples.numbers)} dropped. The score is: {step.score_is}"
    return contact_sheet(heading, [band for band in bands if band.tiles])


def _nearest(verdict: Verdict, places: np.ndarray) -> np.ndarray:
    return places[np.argsort(verdict.margins[places], kind="stable")]


def _twin_tile(index: ShardIndex, number: int) -> Tile:
    files = SampleFiles(index)
    tile = _tile(files, number, f"kept in {Path(index.place).name}")
    files.close()
    return tile


def _tile(files: SampleFiles, number: int, label: str) -> Tile:
    sample = files[number]
    try:
        return Tile(thumbnail(sample.image, TILE_SIDE), label, sample.caption)
    except BrokenSampleError as error:
        return Tile(None, label, str(error))
