"""Images through a pipeline's tokenizer: at the nearest of its sizes, to bits and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from evaluation.metrics.bits import BitCounts
from evaluation.reconstruction import batches_by_size, size_name
from evaluation.stored_images import StoredImages
from evaluation.tasks.api import EvalContext
from infinity.images import fit_image, to_uint8
from infinity.pipeline import InfinityPipeline
from infinity.sampling.settings import aspect_ratio_of
from infinity.schedules import Resolution, ScaleSchedule, nearest_aspect_ratio
from infinity.types import MultiScaleCodes

__all__ = [
    "Reconstructed",
    "fitted",
    "needed_pipeline",
    "reconstruct",
    "reconstruct_images",
    "reconstructions",
]


@dataclass(frozen=True, kw_only=True)
class Reconstructed:
    """A batch of images of one size, before and after."""

    originals_NHW3: np.ndarray  # RGB uint8, as the tokenizer saw them
    recons_NHW3: np.ndarray  # likewise, rounded as for saving
    codes: MultiScaleCodes
    schedule: ScaleSchedule  # in tokens

    @property
    def bit_counts(self) -> list[BitCounts]:
        """What there is of every scale's bits, coarse to fine."""
        return [BitCounts.of(bits.cpu().numpy()) for bits in self.codes.bits]

    @property
    def size(self) -> str:
        """As metric ids name it."""
        return size_name(*self.originals_NHW3.shape[1:3])


def reconstructions(context: EvalContext, split: str = "val") -> Iterator[Reconstructed]:
    """The first images of the run's data through the run's tokenizer, in batches."""
    pipeline = needed_pipeline(context)
    if context.data is None:
        raise ValueError("reconstructions need images; name a data set with --data")
    images = StoredImages(data=context.data, split=split, limit=context.limit)
    originals = (fitted(image, pipeline.resolution) for image in images)
    for batch_NHW3 in batches_by_size(originals, context.batch_size):
        yield reconstruct(pipeline, batch_NHW3)


def fitted(image_HW3: np.ndarray, resolution: Resolution) -> np.ndarray:
    """An image (RGB uint8), scaled and centre-cropped to the nearest of a model's sizes, as in training."""
    height, width = image_HW3.shape[:2]
    size = resolution.image_size(nearest_aspect_ratio(height, width, resolution.aspect_ratios))
    if (height, width) == size:
        return image_HW3
    return np.asarray(fit_image(Image.fromarray(image_HW3), *size))


def reconstruct(pipeline: InfinityPipeline, originals_NHW3: np.ndarray) -> Reconstructed:
    """Images (RGB uint8) of one of the model's sizes through its tokenizer."""
    height, width = originals_NHW3.shape[1:3]
    schedule = pipeline.schedule(aspect_ratio_of(pipeline.resolution, height, width))
    images_BHW3 = torch.from_numpy(originals_NHW3.copy())
    images_B3HW = images_BHW3.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
    codes = pipeline.tokenize(images_B3HW, schedule)
    recons_NHW3 = to_uint8(pipeline.decode(codes.features_BDHW))
    return Reconstructed(
        originals_NHW3=originals_NHW3, recons_NHW3=recons_NHW3, codes=codes, schedule=schedule
    )


def reconstruct_images(
    pipeline: InfinityPipeline,
    images: Sequence[np.ndarray],
    batch_size: int,
    progress: Callable[[int], Any] | None = None,
) -> list[np.ndarray]:
    """Images (RGB uint8) of any of the model's sizes through its tokenizer, in their order.

    Args:
        progress: called with the number of images done.
    """
    by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, image in enumerate(images):
        by_size[image.shape].append(number)
    found: dict[int, np.ndarray] = {}
    for numbers in by_size.values():
        for start in range(0, len(numbers), batch_size):
            batch = numbers[start : start + batch_size]
            recons = reconstruct(pipeline, np.stack([images[number] for number in batch])).recons_NHW3
            found.update(zip(batch, recons, strict=True))
            if progress is not None:
                progress(len(found))
    return [found[number] for number in range(len(images))]


def needed_pipeline(context: EvalContext) -> InfinityPipeline:
    """The model of a run that measures the model itself."""
    if context.pipeline is None:
        raise ValueError("this measures the model itself; name one with --model")
    return context.pipeline
