"""Measure a saved pipeline on ShapesWorld: reconstructions, samples, and what the report shows of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from evaluation.features import FeatureExtractor
from evaluation.progress import Report, silent
from evaluation.reconstruction import ReconstructionScores, batches_by_size
from evaluation.results import MetricValue
from evaluation.shapeseval.baselines import ground_truth_images, shuffled_prompts
from evaluation.shapeseval.results import ShapesEvalResult
from evaluation.shapeseval.runner import run_shapeseval, select_prompts
from evaluation.shapeseval.world import Prompt, load_prompts
from evaluation.shard_images import read_shard_images
from evaluation.tokenizer.reconstruct import reconstruct, reconstruct_images
from infinity.images import to_uint8
from infinity.pipeline import InfinityPipeline
from infinity.seeds import image_seed

__all__ = ["ModelRun", "ModelScores", "read_split"]

_NUM_SHOWN = 24  # pairs of every size that are kept for a report


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """Everything that one run measured."""

    reconstructions: tuple[ReconstructionScores, ...]  # one per image size
    num_images_left_out: int  # held-out images whose size the model has no schedule for
    metrics: tuple[MetricValue, ...]
    arms: Mapping[str, ShapesEvalResult]  # samples, ground truth, reconstructions, shuffled prompts
    samples: Mapping[str, list[np.ndarray]]  # by prompt id
    prompts: tuple[Prompt, ...]
    num_prompts_left_out: int  # likewise


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """What to measure, and how to sample.

    Args:
        pipeline: the model.
        data: ShapesWorld directory (``val`` and ``eval`` shards, ``world.json``, ``prompts.jsonl``).
        extractor: features for rFID; none without it.
        images_per_prompt: samples of every prompt.
        num_reconstructions: held-out images to reconstruct.
        guidance: one value or one per scale; the model's own if not given.
        temperature: likewise.
        splits: which prompts.
        seed: every image's own seed follows from it.
        batch_size: images at once.
    """

    pipeline: InfinityPipeline
    data: Path
    extractor: FeatureExtractor | None = None
    images_per_prompt: int = 2
    num_reconstructions: int = 500
    guidance: float | tuple[float, ...] | None = None
    temperature: float | tuple[float, ...] | None = None
    splits: Sequence[str] = ("id", "ood")
    seed: int = 0
    batch_size: int = 64

    def __call__(self, progress: Report = silent) -> ModelScores:
        """Measure; about a minute for a small model on a CPU."""
        reconstructions, num_images_left_out = self._reconstruct_split("val", progress)
        metrics = [metric for scores in reconstructions for metric in scores.metrics()]
        every_prompt = select_prompts(load_prompts(self.data), splits=self.splits)
        truth = ground_truth_images(self.data, every_prompt)
        prompts = tuple(prompt for prompt in every_prompt if self.ratio_of(truth[prompt.id][0]) is not None)
        truth = {prompt.id: truth[prompt.id] for prompt in prompts}
        rebuilt = self._reconstruct_by_prompt(truth, progress)
        samples = self._sample(prompts, truth, progress)
        arms: dict[str, ShapesEvalResult] = {}
        pictures = {"samples": samples, "ground truth": truth, "reconstructions": rebuilt}
        for done, (arm, images) in enumerate(pictures.items(), start=1):
            arms[arm] = run_shapeseval(self.data, images, prompts=prompts, arm=arm)
            progress("verify", done, len(pictures))
        arms["shuffled prompts"] = shuffled_prompts(arms["samples"], seed=self.seed)
        for result in arms.values():
            metrics += result.metrics()
        return ModelScores(
            reconstructions=reconstructions,
            num_images_left_out=num_images_left_out,
            metrics=tuple(metrics),
            arms=arms,
            samples=samples,
            prompts=prompts,
            num_prompts_left_out=len(every_prompt) - len(prompts),
        )

    def _reconstruct_split(
        self, split: str, progress: Report
    ) -> tuple[tuple[ReconstructionScores, ...], int]:
        """Scores by image size, and the number of images that the model has no schedule for."""
        by_size: dict[tuple[int, ...], ReconstructionScores] = {}
        done = num_left_out = 0
        for originals in batches_by_size(
            read_split(self.data, split, self.num_reconstructions), self.batch_size
        ):
            if self.ratio_of(originals[0]) is None:
                num_left_out += len(originals)
                continue
            rebuilt = reconstruct(self.pipeline, originals)
            scores = by_size.setdefault(originals.shape[1:], ReconstructionScores(self.extractor, _NUM_SHOWN))
            scores.add(originals, rebuilt.recons_NHW3)
            scores.add_bits(rebuilt.bit_counts)
            done += len(originals)
            progress("reconstruct", done, self.num_reconstructions)
        if not by_size:
            resolution = self.pipeline.resolution
            sizes = {"{}x{}".format(*resolution.image_size(ratio)) for ratio in resolution.aspect_ratios}
            raise ValueError(
                f"{self.data} holds no image of the model's size ({' or '.join(sorted(sizes))}); "
                "take the data set that it was trained on"
            )
        return tuple(by_size.values()), num_left_out

    def _reconstruct_by_prompt(
        self, images_by_prompt: Mapping[str, Sequence[np.ndarray]], progress: Report
    ) -> dict[str, list[np.ndarray]]:
        jobs = [(prompt_id, image) for prompt_id, images in images_by_prompt.items() for image in images]
        recons = reconstruct_images(
            self.pipeline,
            [image for _, image in jobs],
            self.batch_size,
            progress=lambda done: progress("reconstruct the ground truth", done, len(jobs)),
        )
        rebuilt: dict[str, list[np.ndarray]] = {prompt_id: [] for prompt_id in images_by_prompt}
        for (prompt_id, _), recon in zip(jobs, recons, strict=True):
            rebuilt[prompt_id].append(recon)
        return rebuilt

    def _sample(
        self, prompts: Sequence[Prompt], truth: Mapping[str, Sequence[np.ndarray]], progress: Report
    ) -> dict[str, list[np.ndarray]]:
        by_ratio: dict[float, list[tuple[Prompt, int]]] = defaultdict(list)
        for number, prompt in enumerate(prompts):
            ratio = self.ratio_of(truth[prompt.id][0])
            assert ratio is not None
            by_ratio[ratio] += [
                (prompt, number * self.images_per_prompt + k) for k in range(self.images_per_prompt)
            ]
        drawn: dict[str, list[np.ndarray]] = {prompt.id: [] for prompt in prompts}
        done, total = 0, len(prompts) * self.images_per_prompt
        for ratio, jobs in by_ratio.items():
            output = self.pipeline(
                [prompt.text for prompt, _ in jobs],
                seeds=[image_seed(self.seed, number) for _, number in jobs],
                aspect_ratio=ratio,
                guidance_scale=self.guidance,
                temperature=self.temperature,
                batch_size=self.batch_size,
                output_type="pt",
                progress=lambda count, _, before=done: progress("sample", before + count, total),
            )
            assert isinstance(output.images, torch.Tensor)
            for (prompt, _), image in zip(jobs, to_uint8(output.images), strict=True):
                drawn[prompt.id].append(image)
            done += len(jobs)
        return drawn

    def ratio_of(self, image_HW3: np.ndarray) -> float | None:
        """The model's aspect ratio whose images have this size; None if there is none."""
        resolution = self.pipeline.resolution
        sizes = {resolution.image_size(ratio): ratio for ratio in resolution.aspect_ratios}
        return sizes.get(image_HW3.shape[:2])


def read_split(data: Path, split: str, limit: int) -> Iterator[np.ndarray]:
    """The first images of a split's shards, RGB uint8 (H, W, 3)."""
    images = islice(read_shard_images(data, split), limit)
    first = next(images, None)
    if first is None:
        raise ValueError(f"{data / split} holds no shards with images; make the data set first (`make data`)")
    for _, image in chain([first], images):
        yield image
