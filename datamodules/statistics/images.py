"""Image sizes, and what becomes of them at a resolution: from the index alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datamodules.bucketing import assign_buckets
from datamodules.index import ShardIndex
from datamodules.statistics.numbers import Distribution
from infinity.schedules import Resolution

__all__ = ["Bucket", "SplitImages", "measure_images"]


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The images of one aspect ratio, which are resized to cover its size and cropped at the center.

    Args:
        aspect_ratio: height / width.
        crop_loss: share of an image's area that is cut away.
        enlargement: factor of the sides; above 1 pixels are made up.
        enlarged: share of the images that are enlarged at all.
    """

    aspect_ratio: float
    height: int
    width: int
    num_samples: int
    crop_loss: Distribution
    enlargement: Distribution
    enlarged: float


class SplitImages(NamedTuple):
    """A number per sample."""

    widths: np.ndarray
    heights: np.ndarray
    num_bytes: np.ndarray
    buckets: np.ndarray  # number of the aspect ratio
    crop_loss: np.ndarray
    enlargement: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """Height / width."""
        return self.heights / self.widths

    def by_bucket(self, resolution: Resolution) -> tuple[Bucket, ...]:
        """The buckets that hold samples, from wide to tall."""
        found = []
        for number, ratio in enumerate(resolution.aspect_ratios):
            members = self.buckets == number
            if members.any():
                height, width = resolution.image_size(ratio)
                enlargement = self.enlargement[members]
                bucket = Bucket(
                    aspect_ratio=ratio,
                    height=height,
                    width=width,
                    num_samples=int(members.sum()),
                    crop_loss=Distribution.of(self.crop_loss[members]),
                    enlargement=Distribution.of(enlargement),
                    enlarged=float((enlargement > 1).mean()),
                )
                found.append(bucket)
        return tuple(sorted(found, key=lambda bucket: bucket.aspect_ratio))


def measure_images(index: ShardIndex, resolution: Resolution) -> SplitImages:
    """Measure all images of a split by their sizes in the index."""
    widths, heights = np.asarray(index.widths), np.asarray(index.heights)
    buckets = assign_buckets(widths, heights, resolution.aspect_ratios)
    sizes = np.array([resolution.image_size(ratio) for ratio in resolution.aspect_ratios])
    across, down = sizes[buckets, 1] / widths, sizes[buckets, 0] / heights
    enlargement = np.maximum(across, down)  # to cover the bucket's size
    crop_loss = 1 - np.minimum(across, down) / enlargement
    return SplitImages(widths, heights, index.rows["image_bytes"], buckets, crop_loss, enlargement)
