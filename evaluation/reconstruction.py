"""Score a tokenizer: how alike reconstructions and originals are, and how it uses its bits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from evaluation.features import FeatureExtractor
from evaluation.intervals import bootstrap_mean
from evaluation.metrics.bits import MAX_CODES, MIN_SHARE, BitCounts
from evaluation.metrics.frechet import RunningFrechet
from evaluation.metrics.image_pairs import (
    MS_SSIM_SIDE,
    PSNR_CAP,
    ms_ssim_per_image,
    psnr_per_image,
    ssim_per_image,
)
from evaluation.results import Direction, MetricValue, Table

__all__ = ["ReconstructionScores", "batches_by_size", "mean_metric", "psnr_metric", "size_name"]

_STAND_IN = "stand-in features, so not a published rFID; comparable only under this very id"


class ReconstructionScores:
    """PSNR, SSIM, MS-SSIM, rFID and the use of bits over images of one size that come in batches.

    Beside three numbers an image, whose means get intervals, memory stops growing: 50,000 images take no more
    than a few thousand.

    Args:
        extractor: features for rFID; its id becomes part of the metric's. No rFID without it.
        num_shown: how many of the first pairs `shown` keeps, for a report.
    """

    def __init__(self, extractor: FeatureExtractor | None = None, num_shown: int = 0) -> None:
        self.shown: list[tuple[np.ndarray, np.ndarray]] = []
        self._num_shown = num_shown
        self._extractor = extractor
        self._shape: tuple[int, ...] = ()
        self._psnr: list[np.ndarray] = []
        self._ssim: list[np.ndarray] = []
        self._ms_ssim: list[np.ndarray] = []
        self._frechet = RunningFrechet()
        self._bits: list[BitCounts] = []

    def add(self, originals_NHW3: np.ndarray, recons_NHW3: np.ndarray) -> None:
        """Score a batch.

        Args:
            originals_NHW3: RGB uint8, cropped and resized as the tokenizer saw them: they are the reference
                too.
            recons_NHW3: RGB uint8 of the same shape.
        """
        shape = originals_NHW3.shape[1:]
        if self._shape not in ((), shape):
            raise ValueError(f"images to score together must have one size, got {self._shape} and {shape}")
        self._shape = shape
        self._psnr.append(psnr_per_image(originals_NHW3, recons_NHW3))
        self._ssim.append(ssim_per_image(originals_NHW3, recons_NHW3))
        if min(shape[:2]) >= MS_SSIM_SIDE:
            self._ms_ssim.append(ms_ssim_per_image(originals_NHW3, recons_NHW3))
        if self._extractor is not None:
            self._frechet.add(self._extractor(originals_NHW3), self._extractor(recons_NHW3))
        room = self._num_shown - len(self.shown)
        self.shown += zip(originals_NHW3[:room], recons_NHW3[:room], strict=True)

    def add_bits(self, per_scale: Sequence[BitCounts]) -> None:
        """Count the bits of a batch, coarse to fine."""
        old = self._bits
        self._bits = [a + b for a, b in zip(old, per_scale, strict=True)] if old else list(per_scale)

    @property
    def num_images(self) -> int:
        return sum(map(len, self._psnr))

    @property
    def size(self) -> str:
        """As metric ids name it."""
        return size_name(*self._shape[:2])

    def metrics(self) -> list[MetricValue]:
        """All scores so far; rFID from two images on."""
        num = self.num_images
        images = f"{self.size},N={num}"
        metrics = [
            psnr_metric(f"psnr[{images}]", np.concatenate(self._psnr)),
            mean_metric(f"ssim[gauss11,{images}]", np.concatenate(self._ssim)),
        ]
        if self._ms_ssim:
            metrics.append(mean_metric(f"ms_ssim[gauss11,5 scales,{images}]", np.concatenate(self._ms_ssim)))
        if self._extractor is not None and num > 1:
            name = "rfrechet" if self._extractor.is_stand_in else "rfid"
            metrics.append(
                MetricValue(
                    id=f"{name}[{self._extractor.id},{images}]",
                    value=self._frechet.distance(),
                    direction="lower",
                    n=num,
                    note=_STAND_IN if self._extractor.is_stand_in else "",
                )
            )
        for scale, counts in enumerate(self._bits, start=1):
            n = counts.num_images
            for name, value in (
                (f"bit_usage[min={MIN_SHARE},{self.size},N={n}]", counts.usage.usage),
                (f"bit_entropy[{self.size},N={n}]", counts.usage.entropy),
            ):
                metric_id = f"{name}/scale_{scale:02d}"
                metrics.append(MetricValue(id=metric_id, value=value, direction="higher", n=n))
        return metrics

    def tables(self) -> dict[str, Table]:
        """The use of bits per scale, for people; none without bits."""
        rows = []
        for scale, counts in enumerate(self._bits, start=1):
            grid = "{} x {}".format(*counts.grid)
            rows.append((scale, grid, counts.num_bits, *counts.usage))
        distinct = f"distinct codes, of possible (in the first {MAX_CODES})"
        columns = ("scale", "size", "bits", "bits used", "entropy of a bit", distinct)
        return {f"bits_per_scale_at_{self.size}": Table(columns=columns, rows=tuple(rows))} if rows else {}


def batches_by_size(images: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    """Stack images of one shape, in their order, as soon as there are enough; at the end, the rest."""
    waiting: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for image in images:
        waiting[image.shape].append(image)
        if len(waiting[image.shape]) == batch_size:
            yield np.stack(waiting.pop(image.shape))
    yield from map(np.stack, waiting.values())


def size_name(height: int, width: int) -> str:
    """An image size as metric ids name it."""
    return f"{width}px" if height == width else f"{width}x{height}px"


def psnr_metric(metric_id: str, values: np.ndarray) -> MetricValue:
    """Mean of PSNRs; says how many images were identical."""
    identical = int((values >= PSNR_CAP).sum())
    note = f"{identical} identical images count {PSNR_CAP:.0f}" if identical else ""
    return mean_metric(metric_id, values, note=note)


def mean_metric(
    metric_id: str, values: np.ndarray, *, direction: Direction = "higher", note: str = ""
) -> MetricValue:
    """Mean over images, with its interval from two on."""
    mean = bootstrap_mean(values)
    ci95 = (mean.low, mean.high) if len(values) > 1 else None
    return MetricValue(
        id=metric_id, value=mean.value, direction=direction, n=len(values), ci95=ci95, note=note
    )
