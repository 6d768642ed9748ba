"""Validation loss: cross-entropy of a transformer on the bits of held-out images (paper, Fig. 8).

Only losses on the bits of one tokenizer compare; so do bits per image, which is why ids name the tokenizer.
Inputs are flipped and re-quantized as in training (section 3.4) and in Infinity's script for this loss: of
every scale a share of bits that is drawn anew. The random numbers are the same for every model: those of an
image follow from its number alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from evaluation.reconstruction import mean_metric
from evaluation.results import MetricValue, Table
from evaluation.shard_captions import read_captioned_images
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tokenizer.reconstruct import fitted, needed_pipeline
from infinity.objectives import token_weights
from infinity.pipeline import InfinityPipeline
from infinity.sampling.settings import aspect_ratio_of
from infinity.schedules import ScaleSchedule
from infinity.seeds import image_seed
from infinity.self_correction import SelfCorrectionConfig, self_correct

__all__ = ["ImageLosses", "ValidationLoss", "flip_masks", "image_losses"]

_SPLIT = "val"


@dataclass(frozen=True, kw_only=True)
class ImageLosses:
    """Losses of a batch of images of one size, per image.

    Args:
        nats_NK: mean over the bits of every scale, in nats.
        right_NK: share of the bits of every scale that are predicted right.
        token_bits: bits of a token.
    """

    schedule: ScaleSchedule
    nats_NK: np.ndarray
    right_NK: np.ndarray
    token_bits: int

    def loss(self, *, reweighted: bool) -> np.ndarray:
        """Mean over all tokens, or with a token of scale k counting 1 / sqrt(area) (``reweight``): (N,)."""
        weights_L = token_weights(self.schedule, "sqrt_area" if reweighted else "none", torch.device("cpu"))
        weights_K = [weights_L[tokens].double().sum().item() for tokens in self.schedule.slices]
        return self.nats_NK @ np.array(weights_K)

    @property
    def bits(self) -> np.ndarray:
        """Bits that coding an image would take, ``sum_k n_k d CE_k / ln 2``: (N,)."""
        areas_K = np.array([scale.area for scale in self.schedule])
        return self.nats_NK @ areas_K * self.token_bits / math.log(2)

    @property
    def right(self) -> np.ndarray:
        """Share of all bits that are predicted right: (N,)."""
        areas_K = np.array([scale.area for scale in self.schedule])
        return self.right_NK @ areas_K / areas_K.sum()


class ValidationLoss:
    """The loss on the captioned images of the data's ``val`` split.

    Args:
        max_flip: of every scale a share of the bits is flipped that is drawn from 0, 0.01, .., max_flip.
        flip_seed: of the flips.
    """

    prompt_set: str | None = None

    def __init__(self, *, max_flip: float = 0.2, flip_seed: int = 0) -> None:
        self._max_flip = SelfCorrectionConfig(max_flip=max_flip).max_flip  # which checks it
        self._seed = flip_seed

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        pipeline = needed_pipeline(context)
        found = list(self._losses(pipeline, context))
        if not found:
            raise ValueError(f"{context.data} holds no captioned images of the split {_SPLIT}")
        plain, reweighted = (
            np.concatenate([one.loss(reweighted=reweight) for one in found]) for reweight in (False, True)
        )
        flips = f"max_flip={self._max_flip},seed={self._seed}"
        data = f"tokenizer={pipeline.vae_sha256[:8]},N={len(plain)}"
        bits = f"{pipeline.transformer.config.token_bits}bits"
        return TaskScore(
            metrics=(
                _lower(f"val_loss[{flips},reweight=0,{bits},{data}]", plain),
                _lower(f"val_loss[{flips},reweight=1,{bits},{data}]", reweighted),
                _lower(f"bits_per_image[{flips},{data}]", np.concatenate([one.bits for one in found])),
                mean_metric(
                    f"val_bit_accuracy[{flips},{data}]", np.concatenate([one.right for one in found])
                ),
            ),
            tables={f"validation loss by scale, {flips}": _by_scale(found)},
        )

    def _losses(self, pipeline: InfinityPipeline, context: EvalContext) -> Iterator[ImageLosses]:
        if context.data is None:
            raise ValueError("the validation loss needs images with captions; name a data set with --data")
        waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray, str]]] = {}
        images = islice(read_captioned_images(context.data, _SPLIT), context.limit)
        for number, (_, image, caption) in enumerate(images):
            image = fitted(image, pipeline.resolution)
            group = waiting.setdefault(image.shape, [])
            group.append((number, image, caption))
            if len(group) == context.batch_size:
                yield self._of_batch(pipeline, waiting.pop(image.shape))
        for group in waiting.values():
            yield self._of_batch(pipeline, group)

    def _of_batch(
        self, pipeline: InfinityPipeline, group: Sequence[tuple[int, np.ndarray, str]]
    ) -> ImageLosses:
        numbers, images, captions = zip(*group, strict=True)
        height, width = images[0].shape[:2]
        schedule = pipeline.schedule(aspect_ratio_of(pipeline.resolution, height, width))
        images_B3HW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        features_BDHW = pipeline.encode(images_B3HW.contiguous())
        latent = schedule.latent(pipeline.vae.config.patchify)
        seeds = [image_seed(self._seed, number) for number in numbers]
        masks = flip_masks(latent, features_BDHW.shape[1], self._max_flip, seeds)
        return image_losses(pipeline, features_BDHW, list(captions), schedule, masks)


@torch.no_grad()
def image_losses(
    pipeline: InfinityPipeline,
    features_BDHW: Tensor,
    captions: list[str],
    schedule: ScaleSchedule,
    masks: Sequence[Tensor],
) -> ImageLosses:
    """Losses of images, as the training objective takes them, without dropping anything.

    Args:
        features_BDHW: of the tokenizer's encoder.
        schedule: in tokens.
        masks: bits to flip, bool (B, D, h, w) of every scale but the last.
    """
    model, vae = pipeline.transformer, pipeline.vae
    forcing = self_correct(
        features_BDHW,
        schedule,
        SelfCorrectionConfig(mode="full"),
        patchify=vae.config.patchify,
        flip_masks=[mask.to(features_BDHW.device) for mask in masks],
        quantizer=vae.quantizer.quantizer,
    )
    text = pipeline.text_encoder.encode(captions).to(pipeline.device)
    logits = model(forcing.inputs_BLD, text, schedule)
    nll_BL = model.head.loss(logits, forcing.labels_BLD).double()
    right_BL = model.head.accuracy(logits, forcing.labels_BLD).double().mean(dim=2)
    nats_NK, right_NK = (
        torch.stack([values_BL[:, tokens].mean(dim=1) for tokens in schedule.slices], dim=1).cpu().numpy()
        for values_BL in (nll_BL, right_BL)
    )
    return ImageLosses(
        schedule=schedule, nats_NK=nats_NK, right_NK=right_NK, token_bits=model.config.token_bits
    )


def flip_masks(latent: ScaleSchedule, num_bits: int, max_flip: float, seeds: Sequence[int]) -> list[Tensor]:
    """For every scale but the last, which bits to flip: bool (B, D, h, w), a row for every seed."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return [
        torch.stack([_flips((num_bits, h, w), max_flip, g) for g in generators])
        for h, w in latent.scales[:-1]
    ]


def _flips(shape: tuple[int, ...], max_flip: float, generator: torch.Generator) -> Tensor:
    share = torch.randint(round(100 * max_flip) + 1, (), generator=generator) / 100
    return torch.rand(shape, generator=generator) < share


def _by_scale(found: Sequence[ImageLosses]) -> Table:
    """Of the most common image size."""
    schedules = [one.schedule for one in found for _ in one.nats_NK]
    schedule = max(dict.fromkeys(schedules), key=schedules.count)
    same = [one for one in found if one.schedule == schedule]
    nats_K = np.concatenate([one.nats_NK for one in same]).mean(axis=0)
    right_K = np.concatenate([one.right_NK for one in same]).mean(axis=0)
    rows = tuple(
        (k, f"{h} x {w}", float(nats), float(nats) * h * w * same[0].token_bits / math.log(2), float(right))
        for k, ((h, w), nats, right) in enumerate(zip(schedule, nats_K, right_K, strict=True), start=1)
    )
    columns = ("scale", "tokens", "nats per bit", "bits per image", "bits predicted right")
    return Table(columns=columns, rows=rows)


def _lower(metric_id: str, values: np.ndarray) -> MetricValue:
    return mean_metric(metric_id, values, direction="lower")
