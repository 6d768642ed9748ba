from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.likelihood.task import ImageLosses, ValidationLoss, flip_masks, image_losses
from evaluation.shard_captions import read_captioned_images
from evaluation.tasks.api import EvalContext
from evaluation.tasks.registry import build_task
from evaluation.weights import WeightFinder
from infinity.objectives import ARObjectiveConfig, LossWeighting, ar_objective
from infinity.pipeline import InfinityPipeline
from infinity.schedules import build_schedule
from tests.pipelines import tiny_pipeline

SQUARE = build_schedule(1.0, (1, 2, 4))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    config = ShapesWorldConfig(tier="full", num_train=1, num_val=7, prompts_per_task=1)
    pack_dataset(root, shapesworld_dataset(config))
    return root


@pytest.fixture
def context(pipeline: InfinityPipeline, data: Path) -> EvalContext:
    return EvalContext(weights=WeightFinder(), pipeline=pipeline, data=data, batch_size=4)


def batch(pipeline: InfinityPipeline, data: Path) -> tuple[Tensor, list[str]]:
    """Features and captions of some square images."""
    squares = (sample for sample in read_captioned_images(data, "val") if sample[1].shape == (64, 64, 3))
    _, images, captions = zip(*islice(squares, 2), strict=True)
    images_B3HW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pipeline.encode(images_B3HW), list(captions)


def objective(
    pipeline: InfinityPipeline,
    features_BDHW: Tensor,
    captions: list[str],
    weighting: LossWeighting,
    generator: torch.Generator | None,
) -> float:
    """What the module's validation logs."""
    with torch.no_grad():
        terms = ar_objective(
            pipeline.transformer,
            features_BDHW,
            pipeline.text_encoder.encode(captions),
            SQUARE,
            config=ARObjectiveConfig(loss_weighting=weighting),
            generator=generator,
            patchify=2,
            quantizer=pipeline.vae.quantizer.quantizer,
        )
    return terms.total.item()


def masks_of_training(generator: torch.Generator, shape: torch.Size) -> list[Tensor]:
    """The flips that training draws from a generator: a share of the batch and noise, scale by scale."""
    masks = []
    for h, w in SQUARE.latent(2).scales[:-1]:
        share = (torch.rand(1, 1, 1, 1, generator=generator) * 31).floor() / 100
        masks.append(torch.rand(*shape[:2], h, w, generator=generator) < share)
    return masks


@pytest.mark.parametrize("weighting", ["none", "sqrt_area"])
def test_the_loss_is_the_modules_on_the_same_flips(
    pipeline: InfinityPipeline, data: Path, weighting: LossWeighting
) -> None:
    features_BDHW, captions = batch(pipeline, data)
    masks = masks_of_training(torch.Generator().manual_seed(5), features_BDHW.shape)
    assert all(mask.any() for mask in masks)
    ours = image_losses(pipeline, features_BDHW, captions, SQUARE, masks)
    theirs = objective(pipeline, features_BDHW, captions, weighting, torch.Generator().manual_seed(5))
    assert ours.loss(reweighted=weighting == "sqrt_area").mean() == pytest.approx(theirs, rel=1e-6)
    no_flips = [torch.zeros_like(mask) for mask in masks]
    clean = image_losses(pipeline, features_BDHW, captions, SQUARE, no_flips)
    theirs_clean = objective(pipeline, features_BDHW, captions, weighting, None)
    assert clean.loss(reweighted=weighting == "sqrt_area").mean() == pytest.approx(theirs_clean, rel=1e-6)
    assert theirs_clean != pytest.approx(theirs, rel=1e-5), "flips matter"


def test_bits_and_weights_on_a_hand_worked_image() -> None:
    losses = ImageLosses(
        schedule=SQUARE,
        nats_NK=np.array([[0.5, 0.25, 0.125]]),
        right_NK=np.array([[1.0, 0.5, 0.75]]),
        token_bits=8,
    )
    assert losses.bits == pytest.approx([(1 * 0.5 + 4 * 0.25 + 16 * 0.125) * 8 / math.log(2)])
    assert losses.loss(reweighted=False) == pytest.approx([(1 * 0.5 + 4 * 0.25 + 16 * 0.125) / 21])
    assert losses.loss(reweighted=True) == pytest.approx([(1 * 0.5 + 2 * 0.25 + 4 * 0.125) / 7])
    assert losses.right == pytest.approx([(1 + 4 * 0.5 + 16 * 0.75) / 21])


def test_a_model_that_guesses_pays_a_bit_for_every_bit(context: EvalContext) -> None:
    pipeline = tiny_pipeline()
    torch.nn.init.zeros_(pipeline.transformer.head.proj.weight)
    torch.nn.init.zeros_(pipeline.transformer.head.proj.bias)
    score = build_task("val-loss").score([], replace(context, pipeline=pipeline))
    loss, reweighted, bits, _ = (metric.value for metric in score.metrics)
    assert loss == pytest.approx(math.log(2))
    assert reweighted == pytest.approx(math.log(2))
    assert context.data is not None
    shapes = [image.shape for _, image, _ in read_captioned_images(context.data, "val")]
    wide = pipeline.schedule(0.6).seq_len
    num_tokens = [wide if height < width else 21 for height, width, _ in shapes]  # tall images become squares
    assert wide != 21
    assert bits == pytest.approx(16 * np.mean(num_tokens))


def test_flips_follow_from_the_image_alone() -> None:
    latent = build_schedule(1.0, (1, 8, 32, 64))
    masks = flip_masks(latent, 16, 0.2, [7, 8])
    assert [mask.shape for mask in masks] == [(2, 16, h, w) for h, w in latent.scales[:-1]]
    for mask, alone in zip(masks, flip_masks(latent, 16, 0.2, [8]), strict=True):
        assert mask[1].equal(alone[0])
    assert not masks[2][0].equal(masks[2][1])


def test_shares_of_flips_are_drawn_from_the_grid_of_the_official_script() -> None:
    """0, 0.01, .., 0.2, each as often, for every scale and image anew: not a fixed fifth."""
    latent = build_schedule(1.0, (1, 95, 96, 97))
    _, first, second = flip_masks(latent, 16, 0.2, range(120))
    shares_N, others_N = (mask.float().mean(dim=(1, 2, 3)).numpy() for mask in (first, second))
    grid_N = np.rint(100 * shares_N)
    np.testing.assert_allclose(shares_N, grid_N / 100, atol=0.0045)  # four deviations of 144,400 bits
    assert {0, 20} <= set(grid_N) <= set(range(21))
    assert shares_N.mean() == pytest.approx(0.1, abs=0.02)
    assert abs(np.corrcoef(shares_N, others_N)[0, 1]) < 0.3


def test_losses_do_not_depend_on_batches_and_other_flips_give_others(context: EvalContext) -> None:
    task = ValidationLoss()
    first, other_batches = (task.score([], replace(context, batch_size=size)) for size in (4, 3))
    for one, other in zip(first.metrics, other_batches.metrics, strict=True):
        assert (one.id, one.n) == (other.id, other.n)
        assert one.value == pytest.approx(other.value, rel=1e-5)
    reseeded = ValidationLoss(flip_seed=1).score([], context)
    assert reseeded.metrics[0].id != first.metrics[0].id
    assert reseeded.metrics[0].value != pytest.approx(first.metrics[0].value, rel=1e-6)


def test_ids_carry_flips_weights_bits_the_tokenizer_and_the_number_of_images(
    context: EvalContext, pipeline: InfinityPipeline
) -> None:
    score = build_task("val-loss-clean").score([], replace(context, limit=3))
    tokenizer = f"tokenizer={pipeline.vae_sha256[:8]},N=3"
    assert [metric.id for metric in score.metrics] == [
        f"val_loss[max_flip=0.0,seed=0,reweight=0,16bits,{tokenizer}]",
        f"val_loss[max_flip=0.0,seed=0,reweight=1,16bits,{tokenizer}]",
        f"bits_per_image[max_flip=0.0,seed=0,{tokenizer}]",
        f"val_bit_accuracy[max_flip=0.0,seed=0,{tokenizer}]",
    ]
    assert {metric.n for metric in score.metrics} == {3}
    (table,) = score.tables.values()
    assert [row[0] for row in table.rows] == [1, 2, 3]


def test_what_can_not_work_is_refused(context: EvalContext, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"max_flip is a share of bits .* got 1\.5"):
        ValidationLoss(max_flip=1.5)
    with pytest.raises(ValueError, match="--model"):
        ValidationLoss().score([], replace(context, pipeline=None))
    with pytest.raises(ValueError, match="val holds no shards"):
        ValidationLoss().score([], replace(context, data=tmp_path))
