"""What a report shows beside the numbers of a result. Everything but the title may be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evaluation.shapeseval.results import ShapesEvalResult

__all__ = ["Grid", "History", "PaperNumber", "ReportContent", "Strip", "Tile"]

History = Mapping[str, Sequence[tuple[int, float]]]
"""Curves by name (``[stage/]split/quantity[/scale_k]``): points (step, value)."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image (RGB uint8) with its prompt; `correct` is None where nobody judged it."""

    image: np.ndarray
    caption: str
    correct: bool | None = None
    note: str = ""  # what is wrong


@dataclass(frozen=True, kw_only=True)
class Grid:
    title: str
    note: str  # how the images were chosen
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Stages of one image, coarse to fine (RGB uint8), each with a label such as ``4x4``."""

    caption: str
    images: tuple[np.ndarray, ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ValueError(
                f"a strip needs a label per image, got {len(self.labels)} for {len(self.images)}"
            )


@dataclass(frozen=True, kw_only=True)
class PaperNumber:
    """A published number, shown in a table of its own that says whose it is."""

    name: str
    value: str
    source: str  # where in the paper


@dataclass(frozen=True, kw_only=True)
class ReportContent:
    """Everything a report shows beside metrics, tables, config and provenance.

    Args:
        headline: metric ids for the cards on top; a good guess if empty.
        reconstructions: pairs (original, reconstruction), RGB uint8.
        shapeseval: results by arm; "samples" is the model, the others its baselines.
        caveats: sentences that a reader must know; notes of metrics are added to them.
    """

    title: str
    summary: str = ""
    headline: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    reconstructions: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    strips: tuple[Strip, ...] = ()
    history: History = field(default_factory=dict)
    shapeseval: Mapping[str, ShapesEvalResult] = field(default_factory=dict)
    paper: tuple[PaperNumber, ...] = ()
    caveats: tuple[str, ...] = ()
