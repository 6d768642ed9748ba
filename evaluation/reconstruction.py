"""Score a tokenizer: how alike reconstructions and originals are, and how it uses its bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.features import FeatureExtractor
from evaluation.intervals import bootstrap_mean
from evaluation.metrics.bits import MIN_SHARE, bit_usage
from evaluation.metrics.frechet import frechet_distance
from evaluation.metrics.image_pairs import PSNR_CAP, psnr_per_image, ssim_per_image
from evaluation.results import MetricValue, Table

__all__ = ["bit_table", "evaluate_reconstruction"]

_STAND_IN = "stand-in features, so not a published rFID; comparable only under this very id"


def evaluate_reconstruction(
    originals_NHW3: np.ndarray,
    reconstructions_NHW3: np.ndarray,
    bits_per_scale: Sequence[np.ndarray] = (),
    extractor: FeatureExtractor | None = None,
) -> list[MetricValue]:
    """PSNR, SSIM, rFID (with an extractor) and the use of bits (with bits).

    Args:
        originals_NHW3: RGB uint8, cropped and resized as the tokenizer saw them: they are the reference too.
        reconstructions_NHW3: RGB uint8 of the same shape.
        bits_per_scale: bool (N, D, h_k, w_k) for every scale, coarse to fine.
        extractor: features for rFID; its id becomes part of the metric's.
    """
    num, height, width, _ = originals_NHW3.shape
    size = f"{width}px" if height == width else f"{width}x{height}px"
    psnr = psnr_per_image(originals_NHW3, reconstructions_NHW3)
    identical = int((psnr >= PSNR_CAP).sum())
    metrics = [
        _mean(
            f"psnr[{size}]", psnr, f"{identical} identical images count {PSNR_CAP:.0f}" if identical else ""
        ),
        _mean(f"ssim[gauss11,{size}]", ssim_per_image(originals_NHW3, reconstructions_NHW3)),
    ]
    if extractor is not None:
        metrics.append(
            MetricValue(
                id=f"rfid[{extractor.id},{size},N={num}]",
                value=frechet_distance(extractor(originals_NHW3), extractor(reconstructions_NHW3)),
                direction="lower",
                n=num,
                note=_STAND_IN if extractor.is_stand_in else "",
            )
        )
    for scale, bits in enumerate(bits_per_scale, start=1):
        usage = bit_usage(bits)
        for name, value in (
            (f"bit_usage[min={MIN_SHARE},{size}]", usage.usage),
            (f"bit_entropy[{size}]", usage.entropy),
        ):
            metric_id = f"{name}/scale_{scale:02d}"
            metrics.append(MetricValue(id=metric_id, value=value, direction="higher", n=num))
    return metrics


def bit_table(bits_per_scale: Sequence[np.ndarray]) -> Table:
    """The same per scale, for people."""
    rows = []
    for scale, bits in enumerate(bits_per_scale, start=1):
        usage = bit_usage(bits)
        size = f"{bits.shape[2]} x {bits.shape[3]}"
        rows.append((scale, size, bits.shape[1], usage.usage, usage.entropy, usage.distinct))
    columns = ("scale", "size", "bits", "bits used", "entropy of a bit", "distinct codes, of possible")
    return Table(columns=columns, rows=tuple(rows))


def _mean(metric_id: str, values: np.ndarray, note: str = "") -> MetricValue:
    mean = bootstrap_mean(values)
    ci95 = (mean.low, mean.high)
    return MetricValue(
        id=metric_id, value=mean.value, direction="higher", n=len(values), ci95=ci95, note=note
    )
