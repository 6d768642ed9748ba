"""rFID by ImageNet's protocol on folders and shards of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from evaluation.distribution.extractors import EXTRACTORS
from evaluation.metrics.frechet import frechet_distance
from evaluation.resizing import resize_and_crop
from evaluation.tasks.api import EvalContext
from evaluation.tasks.registry import TASKS, build_task
from evaluation.tokenizer.imagenet import ImageNetReconstruction
from evaluation.weights import WeightFinder
from infinity.images import to_uint8
from infinity.pipeline import InfinityPipeline
from tests.evaluation.random_features import RandomConvFeatures
from tests.pipelines import tiny_pipeline

PICTURES = [
    np.random.default_rng(number).integers(0, 256, (70 + 9 * number, 100, 3), dtype=np.uint8)
    for number in range(5)
]


@pytest.fixture
def context(pipeline: InfinityPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvalContext:
    monkeypatch.setitem(EXTRACTORS, "random", lambda _: RandomConvFeatures(8))
    for number, picture in enumerate(PICTURES):
        path = tmp_path / "val" / f"n{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    return EvalContext(weights=WeightFinder(), pipeline=pipeline, data=tmp_path, batch_size=2)


def test_reconstructions_are_compared_with_the_very_crops_that_were_reconstructed(
    context: EvalContext, pipeline: InfinityPipeline
) -> None:
    originals = np.stack([resize_and_crop(picture, 64, 64, "lanczos") for picture in PICTURES])
    images = torch.from_numpy(originals).permute(0, 3, 1, 2).float() / 127.5 - 1
    features = pipeline.tokenize(images, pipeline.schedule(1.0)).features_BDHW
    recons = to_uint8(pipeline.decode(features))
    extractor = RandomConvFeatures(8)
    rfid, psnr, ssim = ImageNetReconstruction(features="random", filter="lanczos").score([], context).metrics
    assert rfid.value == pytest.approx(frechet_distance(extractor(originals), extractor(recons)), rel=1e-4)
    assert rfid.id.startswith(f"rfrechet_imagenet[{extractor.id},uint8,lanczos-64,N=5,data=")
    error = np.square(originals.astype(float) - recons).mean(axis=(1, 2, 3))
    assert psnr.value == pytest.approx((20 * np.log10(255) - 10 * np.log10(error)).mean(), rel=1e-3)
    assert (rfid.n, psnr.n, ssim.n) == (5, 5, 5)


def test_the_filter_and_the_images_are_in_the_id(context: EvalContext) -> None:
    def metric_id(context: EvalContext, **options: str) -> str:
        return ImageNetReconstruction(features="random", **options).score([], context).metrics[0].id

    ids = {metric_id(context), metric_id(context, filter="lanczos"), metric_id(replace(context, limit=3))}
    assert len(ids) == 3
    assert sum("N=3" in one for one in ids) == 1


def test_fewer_images_than_published_are_told(context: EvalContext) -> None:
    (caveat,) = ImageNetReconstruction(features="random").score([], context).caveats
    assert caveat.startswith("rfrechet_imagenet of 5 images at 64 pixels; published rFIDs are of 50000")


def test_one_image_and_models_without_squares_end_with_one_sentence(context: EvalContext) -> None:
    with pytest.raises(ValueError, match="at least 2 images, got 1; raise --limit"):
        ImageNetReconstruction(features="random").score([], replace(context, limit=1))
    wide = replace(context, pipeline=tiny_pipeline(aspect_ratios=(0.6,)))
    with pytest.raises(ValueError, match="square crops, but the model has the ratios 0.6 only"):
        ImageNetReconstruction(features="random").score([], wide)


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if ".imagenet:" in entry.target])
def test_entries_build(name: str) -> None:
    assert build_task(name).prompt_set is None
