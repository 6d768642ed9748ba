from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.shard_images import read_shard_images
from evaluation.tasks.api import EvalContext
from evaluation.tokenizer.reconstruct import fitted, reconstruct, reconstruct_images, reconstructions
from infinity.editing import reconstruct as reconstruct_pil
from infinity.pipeline import InfinityPipeline


def test_reconstructions_are_those_of_the_reconstruct_command(
    context: EvalContext, pipeline: InfinityPipeline
) -> None:
    batches = list(reconstructions(context))
    assert sum(len(batch.originals_NHW3) for batch in batches) == 12
    assert {batch.size for batch in batches} >= {"64px", "80x48px"}
    for batch in batches:
        output = reconstruct_pil(pipeline, [Image.fromarray(image) for image in batch.originals_NHW3])
        np.testing.assert_array_equal(batch.recons_NHW3, np.stack(list(map(np.asarray, output.images))))
        for bits, others in zip(batch.codes.bits, output.bits, strict=True):
            assert bits.equal(others)


def test_images_are_cut_to_the_nearest_of_the_models_sizes(context: EvalContext, data: Path) -> None:
    """The model has two sizes; tall images become squares, as in training."""
    shapes = {image.shape[:2] for _, image in read_shard_images(data, "val")}
    assert shapes == {(64, 64), (48, 80), (80, 48)}
    seen = {batch.originals_NHW3.shape[1:3] for batch in reconstructions(context)}
    assert seen == {(64, 64), (48, 80)}


def test_an_image_of_the_models_size_keeps_its_pixels(pipeline: InfinityPipeline) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert fitted(image, pipeline.resolution) is image
    assert fitted(image[:40], pipeline.resolution).shape == (48, 80, 3)


def test_images_of_several_sizes_come_back_in_their_order(pipeline: InfinityPipeline, data: Path) -> None:
    images = [fitted(image, pipeline.resolution) for _, image in read_shard_images(data, "val")]
    assert len({image.shape for image in images}) == 2
    together = reconstruct_images(pipeline, images, batch_size=3)
    for image, recon in zip(images, together, strict=True):
        alone = reconstruct(pipeline, image[None]).recons_NHW3[0]
        assert np.abs(recon.astype(int) - alone).max() <= 1  # one grey level: the batch is another one


def test_what_is_missing_is_named(context: EvalContext) -> None:
    with pytest.raises(ValueError, match="--model"):
        next(reconstructions(replace(context, pipeline=None)))
    with pytest.raises(ValueError, match="--data"):
        next(reconstructions(replace(context, data=None)))
