"""Measure a saved pipeline on ShapesWorld: reconstructions, samples, and what the report shows of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evaluation.features import FeatureExtractor
from evaluation.reconstruction import evaluate_reconstruction
from evaluation.results import MetricValue
from evaluation.shapeseval.baselines import ground_truth_images, shuffled_prompts
from evaluation.shapeseval.results import ShapesEvalResult
from evaluation.shapeseval.runner import run_shapeseval, select_prompts
from evaluation.shapeseval.world import Prompt, load_prompts
from evaluation.shard_images import read_shard_images
from infinity.pipeline import InfinityPipeline, image_seed, to_uint8

__all__ = ["ModelRun", "ModelScores", "Reconstructions", "read_split"]

Report = Callable[[str, int, int], Any]
"""Called as ``progress(what, done, total)``."""


def _silent(what: str, done: int, total: int) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Reconstructions:
    """Held-out images of one size and what the tokenizer makes of them: RGB uint8 (N, H, W, 3)."""

    originals: np.ndarray
    recons: np.ndarray
    bits: tuple[np.ndarray, ...]  # per scale: bool (N, D, h_k, w_k)


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """Everything that one run measured."""

    reconstructions: tuple[Reconstructions, ...]  # one per image size
    metrics: tuple[MetricValue, ...]
    arms: Mapping[str, ShapesEvalResult]  # samples, ground truth, reconstructions, shuffled prompts
    samples: Mapping[str, list[np.ndarray]]  # by prompt id
    prompts: tuple[Prompt, ...]
    num_left_out: int  # prompts whose aspect ratio the model has no schedule for


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

    def __call__(self, progress: Report = _silent) -> ModelScores:
        """Measure; about a minute for a small model on a CPU."""
        reconstructions = tuple(self._reconstruct_split("val", progress))
        metrics: list[MetricValue] = []
        for group in reconstructions:
            metrics += evaluate_reconstruction(group.originals, group.recons, group.bits, self.extractor)
        every_prompt = select_prompts(load_prompts(self.data), splits=self.splits)
        truth = ground_truth_images(self.data, every_prompt)
        prompts = tuple(prompt for prompt in every_prompt if self._ratio(truth[prompt.id][0]) is not None)
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
            metrics=tuple(metrics),
            arms=arms,
            samples=samples,
            prompts=prompts,
            num_left_out=len(every_prompt) - len(prompts),
        )

    def _reconstruct_split(self, split: str, progress: Report) -> Iterator[Reconstructions]:
        by_size: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
        for image in read_split(self.data, split, self.num_reconstructions):
            by_size[image.shape].append(image)
        known = [images for images in by_size.values() if self._ratio(images[0]) is not None]
        if not known:
            resolution = self.pipeline.resolution
            sizes = {"{}x{}".format(*resolution.image_size(ratio)) for ratio in resolution.aspect_ratios}
            raise ValueError(
                f"{self.data} holds no image of the model's size ({' or '.join(sorted(sizes))}); "
                "take the data set that it was trained on"
            )
        for images in known:
            originals = np.stack(images)
            recons, bits = self._reconstruct(originals)
            progress("reconstruct", len(images), self.num_reconstructions)
            yield Reconstructions(originals=originals, recons=recons, bits=bits)

    def _reconstruct_by_prompt(
        self, images_by_prompt: Mapping[str, Sequence[np.ndarray]], progress: Report
    ) -> dict[str, list[np.ndarray]]:
        by_size: dict[tuple[int, ...], list[tuple[str, np.ndarray]]] = defaultdict(list)
        for prompt_id, images in images_by_prompt.items():
            for image in images:
                by_size[image.shape].append((prompt_id, image))
        rebuilt: dict[str, list[np.ndarray]] = {prompt_id: [] for prompt_id in images_by_prompt}
        for group in by_size.values():
            recons, _ = self._reconstruct(np.stack([image for _, image in group]))
            for (prompt_id, _), recon in zip(group, recons, strict=True):
                rebuilt[prompt_id].append(recon)
            progress("reconstruct", len(group), sum(map(len, images_by_prompt.values())))
        return rebuilt

    def _reconstruct(self, originals_NHW3: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        schedule = self.pipeline.schedule(self._ratio(originals_NHW3[0]))
        recons, bits = [], []
        for start in range(0, len(originals_NHW3), self.batch_size):
            batch = torch.from_numpy(originals_NHW3[start : start + self.batch_size])
            images_B3HW = batch.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()
            codes = self.pipeline.tokenize(images_B3HW, schedule)
            recons.append(to_uint8(self.pipeline.decode(codes.features_BDHW)))
            bits.append(codes.bits)
        per_scale = tuple(torch.cat(scale).numpy() for scale in zip(*bits, strict=True))
        return np.concatenate(recons), per_scale

    def _sample(
        self, prompts: Sequence[Prompt], truth: Mapping[str, Sequence[np.ndarray]], progress: Report
    ) -> dict[str, list[np.ndarray]]:
        by_ratio: dict[float, list[tuple[Prompt, int]]] = defaultdict(list)
        for number, prompt in enumerate(prompts):
            ratio = self._ratio(truth[prompt.id][0])
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

    def _ratio(self, image_HW3: np.ndarray) -> float | None:
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
