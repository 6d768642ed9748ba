"""What a report shows beside the numbers of a result. Everything but the title may be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from evaluation.reports.forest import Forest
from evaluation.reports.history import History
from evaluation.results import MetricValue
from evaluation.shapeseval.results import ShapesEvalResult

__all__ = ["Box", "Failures", "Grid", "ReportContent", "Strip", "Sweep", "Tile"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """Something that a detector found: x1, y1, x2, y2 in pixels of the image."""

    sides: tuple[float, float, float, float]
    label: str
    score: float | None = None


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image (RGB uint8) with its prompt; `correct` is None where nobody judged it.

    Args:
        note: what is wrong, or the score.
        run: whose image it is, where several runs are shown.
        size: (width, height) that boxes are in, where `image` is a thumbnail; its own if None.
    """

    image: np.ndarray
    caption: str
    correct: bool | None = None
    note: str = ""
    run: str = ""
    boxes: tuple[Box, ...] = ()
    size: tuple[int, int] | None = None

    @property
    def found(self) -> str:
        """What is in the boxes."""
        counts = Counter(box.label for box in self.boxes)
        return ", ".join(label if num == 1 else f"{num} × {label}" for label, num in counts.items())

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height that boxes are in."""
        return self.size or (self.image.shape[1], self.image.shape[0])


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Images, and how they were chosen; `columns` where every row is of one prompt (0: as many as fit)."""

    title: str
    note: str
    tiles: tuple[Tile, ...]
    columns: int = 0

    @property
    def has_boxes(self) -> bool:
        return any(tile.boxes for tile in self.tiles)


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Kinds of failures of a task, the commonest first: (kind, images with it in each run)."""

    title: str
    kinds: tuple[tuple[str, tuple[int, ...]], ...]
    num_images: tuple[int, ...]  # of each run

    @property
    def most(self) -> float:
        """The largest share."""
        shares = [
            one / max(num, 1)
            for _, counts in self.kinds
            for one, num in zip(counts, self.num_images, strict=True)
        ]
        return max(shares, default=1.0) or 1.0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """One metric over two settings of the sampler: (row, column) to (value, interval); None if not run."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[MetricValue | None, ...], ...]


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
class ReportContent:
    """Everything a report shows beside metrics, tables, config and provenance.

    Args:
        across: whole metrics, a row per run.
        slices: scores by kind of prompt, by aspect ratio and so on.
        failures: what goes wrong, per task.
        sweeps: metrics over guidance and temperature.
        trade_off: two metrics of every run against each other, as SVG.
        reconstructions: pairs (original, reconstruction), RGB uint8.
        shapeseval: results by arm; "samples" is the model, the others its baselines.
        caveats: sentences that a reader must know; notes of metrics are added to them.
    """

    title: str
    across: tuple[Forest, ...] = ()
    slices: tuple[Forest, ...] = ()
    failures: tuple[Failures, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    trade_off: str = ""
    grids: tuple[Grid, ...] = ()
    reconstructions: tuple[tuple[np.ndarray, np.ndarray], ...] = ()
    strips: tuple[Strip, ...] = ()
    history: History = field(default_factory=dict)
    shapeseval: Mapping[str, ShapesEvalResult] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
