"""rFID by ImageNet's protocol: the validation images, scaled and cropped, through the tokenizer and back.

The references are the same crops that were reconstructed (statistics of other crops, or of the training set,
shift rFID by more than tokenizers differ), and both are rounded to bytes before any metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from evaluation.distribution.extractors import build_features
from evaluation.metrics.frechet import RunningFrechet
from evaluation.metrics.image_pairs import psnr_per_image, ssim_per_image
from evaluation.reconstruction import mean_metric, psnr_metric
from evaluation.resizing import Filter, resize_and_crop
from evaluation.results import MetricValue
from evaluation.stored_images import StoredImages
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tokenizer.reconstruct import needed_pipeline, reconstruct
from infinity.pipeline import InfinityPipeline

__all__ = ["ImageNetReconstruction"]

_PUBLISHED_NUM = 50_000


class ImageNetReconstruction:
    """rFID, PSNR and SSIM over a split in a folder of images (ImageFolder) or in shards.

    Args:
        features: a name of :data:`evaluation.distribution.extractors.EXTRACTORS`.
        filter: that scales the shorter side to the model's square size, 256 for the published numbers.
    """

    prompt_set: str | None = None

    def __init__(self, *, features: str = "inception", filter: Filter = "bilinear") -> None:
        self._features = features
        self._filter: Filter = filter

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        """Reconstruct and compare; memory does not grow with the number of images but for two floats each."""
        pipeline = needed_pipeline(context)
        if context.data is None:
            raise ValueError("rFID needs images to reconstruct; name them with --data")
        side = _square_side(pipeline)
        extractor = build_features(self._features, context)
        images = StoredImages(data=context.data, limit=context.limit)
        frechet, psnr, ssim = RunningFrechet(), [], []
        crops = images.each(lambda image: resize_and_crop(image, side, side, self._filter))
        while originals := list(islice(crops, context.batch_size)):
            originals_NHW3 = np.stack(originals)
            recons_NHW3 = reconstruct(pipeline, originals_NHW3).recons_NHW3
            frechet.add(extractor(originals_NHW3), extractor(recons_NHW3))
            psnr.append(psnr_per_image(originals_NHW3, recons_NHW3))
            ssim.append(ssim_per_image(originals_NHW3, recons_NHW3))
        num = sum(map(len, psnr))
        if num < 2:
            raise ValueError(f"rFID needs at least 2 images, got {num}; raise --limit")
        crop = f"{self._filter}-{side}"
        tail = f"N={num},data={images.sha256()[:8]}"
        name, note = ("rfrechet", "stand-in features, so no rFID") if extractor.is_stand_in else ("rfid", "")
        return TaskScore(
            metrics=(
                MetricValue(
                    id=f"{name}_imagenet[{extractor.id},uint8,{crop},{tail}]",
                    value=frechet.distance(),
                    direction="lower",
                    n=num,
                    note=note,
                ),
                psnr_metric(f"psnr_imagenet[{crop},{tail}]", np.concatenate(psnr)),
                mean_metric(f"ssim_imagenet[gauss11,{crop},{tail}]", np.concatenate(ssim)),
            ),
            caveats=_caveats(f"{name}_imagenet", num, side),
        )


def _square_side(pipeline: InfinityPipeline) -> int:
    if 1.0 not in pipeline.resolution.aspect_ratios:
        ratios = ", ".join(map(str, pipeline.resolution.aspect_ratios))
        raise ValueError(
            f"ImageNet's protocol takes square crops, but the model has the ratios {ratios} only"
        )
    return pipeline.resolution.image_size(1.0)[0]


def _caveats(name: str, num: int, side: int) -> tuple[str, ...]:
    if num == _PUBLISHED_NUM and side in (256, 512):
        return ()
    published = f"published rFIDs are of {_PUBLISHED_NUM} at 256 or 512"
    return (f"{name} of {num} images at {side} pixels; {published}.",)
