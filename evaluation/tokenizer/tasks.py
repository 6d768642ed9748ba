"""What a tokenizer keeps of images: as a whole, after every scale, and when its images are coded again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

import numpy as np

from evaluation.distribution.extractors import build_features
from evaluation.metrics.frechet import RunningFrechet
from evaluation.metrics.image_pairs import psnr_per_image
from evaluation.reconstruction import ReconstructionScores, mean_metric, psnr_metric
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tokenizer.reconstruct import Reconstructed, needed_pipeline, reconstruct, reconstructions
from infinity.images import to_uint8
from infinity.quantizers.bits import patchify_bits

__all__ = ["PerScale", "Recoding", "Reconstruction"]


class Reconstruction:
    """PSNR, SSIM, MS-SSIM (of images from 176 pixels on) and the use of bits."""

    prompt_set: str | None = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        by_size: dict[str, ReconstructionScores] = defaultdict(ReconstructionScores)
        for batch in reconstructions(context):
            by_size[batch.size].add(batch.originals_NHW3, batch.recons_NHW3)
            by_size[batch.size].add_bits(batch.bit_counts)
        return TaskScore(
            metrics=tuple(metric for scores in by_size.values() for metric in scores.metrics()),
            tables={name: table for scores in by_size.values() for name, table in scores.tables().items()},
        )


class PerScale:
    """PSNR and Fréchet distance of images that are decoded from the bits of the first scales.

    Args:
        features: whose Fréchet distance is taken, "inception" for rFID or "effnet", a stand-in.
    """

    prompt_set: str | None = None

    def __init__(self, *, features: Literal["inception", "effnet"] = "effnet") -> None:
        self._features = features

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        pipeline, extractor = needed_pipeline(context), build_features(self._features, context)
        psnr: dict[tuple[str, int], list[np.ndarray]] = defaultdict(list)
        frechet: dict[tuple[str, int], RunningFrechet] = defaultdict(RunningFrechet)
        grids: dict[tuple[str, int], str] = {}
        for batch in reconstructions(context):
            latent = batch.schedule.latent(pipeline.vae.config.patchify)
            reference = extractor(batch.originals_NHW3)
            for scale, (height, width) in enumerate(batch.schedule, start=1):
                features_BDHW = pipeline.vae.quantizer.sum_codes(batch.codes.bits[:scale], latent)
                decoded_NHW3 = to_uint8(pipeline.decode(features_BDHW))
                psnr[batch.size, scale].append(psnr_per_image(batch.originals_NHW3, decoded_NHW3))
                frechet[batch.size, scale].add(reference, extractor(decoded_NHW3))
                grids[batch.size, scale] = f"{height} x {width}"
        name = "rfrechet" if extractor.is_stand_in else "rfid"
        metrics, rows = [], []
        for (size, scale), values in psnr.items():
            after, psnrs = f"after_scale_{scale:02d}", np.concatenate(values)
            num, distance = len(psnrs), None
            metrics.append(psnr_metric(f"psnr[{size},N={num}]/{after}", psnrs))
            if num > 1:
                distance = frechet[size, scale].distance()
                metric_id = f"{name}[{extractor.id},{size},N={num}]/{after}"
                metrics.append(MetricValue(id=metric_id, value=distance, direction="lower", n=num))
            rows.append((size, scale, grids[size, scale], metrics[-1 if num == 1 else -2].value, distance))
        columns = ("image", "scales decoded", "last of them", "PSNR", f"{name} on {extractor.id}")
        return TaskScore(
            metrics=tuple(metrics),
            tables={f"{name} and PSNR after every scale": Table(columns=columns, rows=tuple(rows))},
        )


class Recoding:
    """How much of its own bits a tokenizer finds again in the image that it decoded from them.

    What it does not find again, self-correction or editing of real images has to do without.
    """

    prompt_set: str | None = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        pipeline = needed_pipeline(context)
        shares: dict[tuple[str, str, int], list[np.ndarray]] = defaultdict(list)
        for batch in reconstructions(context):
            again = reconstruct(pipeline, batch.recons_NHW3)
            for scale, (bits, tokens) in enumerate(_agreement(batch, again, pipeline.vae.config.patchify), 1):
                shares["bit", batch.size, scale].append(bits)
                shares["token", batch.size, scale].append(tokens)
        metrics = []
        for (what, size, scale), batches in sorted(shares.items()):
            values = np.concatenate(batches)
            knobs, tail = f"{size},N={len(values)}", f"scale_{scale:02d}"
            metrics.append(mean_metric(f"recoded_{what}_accuracy[{knobs}]/{tail}", values))
        return TaskScore(metrics=tuple(metrics))


def _agreement(
    one: Reconstructed, other: Reconstructed, patchify: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per scale and image, the shares (N,) of equal bits and of tokens all of whose bits are equal."""
    found = []
    for bits, others in zip(one.codes.bits, other.codes.bits, strict=True):
        equal_BLD = patchify_bits(bits == others, patchify)
        shares = (equal_BLD.double().mean(dim=(1, 2)), equal_BLD.all(dim=2).double().mean(dim=1))
        found.append((shares[0].cpu().numpy(), shares[1].cpu().numpy()))
    return found
