"""Draw the images of a prompt set into a folder: resumable, in batches of one shape, shared among ranks.

An image depends on the model, the settings, its prompt and its seed, which follows from the prompt's number:
neither on its batch nor on the rank that draws it (but for roundings of a batch's size). What a folder holds
is kept if it was drawn just so; images of other settings are never mixed.
"""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from evaluation.progress import Report, silent
from evaluation.provenance import sha256_of_pixels
from evaluation.runner.manifest import MANIFEST, ImageId, Row, damaged, merge_rows, read_rows
from evaluation.runner.ranks import Ranks
from evaluation.tasks.api import EvalPrompt
from infinity.images import save_png, to_pil, to_uint8
from infinity.manifests import open_manifest
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter
from infinity.seeds import image_seed

__all__ = ["Drawing", "DrawnSet"]

_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class DrawnSet:
    """What became of a prompt set."""

    num_images: int
    num_drawn: int  # now, by this rank; the others were there, or are the other ranks'
    num_truncated: int  # images whose prompt was longer than the text encoder takes
    untrained_ratios: tuple[float, ...]  # that the model has not seen
    seconds: float


@dataclass(frozen=True, kw_only=True)
class _Job:
    prompt: EvalPrompt
    index: int
    seed: int
    file: str
    settings: Mapping[str, Any]

    @property
    def image(self) -> ImageId:
        return self.prompt.id, self.index


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How images are drawn.

    Args:
        origin: JSON values that name the model; images of another origin are not mixed with these.
        sampling: settings of the pipeline's calls, but for the aspect ratio.
        rewriter: gives the model longer prompts; metrics still judge by the original ones.
        patience: seconds without a new image of another rank after which the first gives up waiting.
    """

    pipeline: InfinityPipeline
    origin: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    batch_size: int = 32
    rewriter: CachedRewriter | None = None
    ranks: Ranks = Ranks()
    patience: float = 1800.0

    def __call__(self, prompts: Sequence[EvalPrompt], folder: Path, progress: Report = silent) -> DrawnSet:
        """Draw this rank's share of what is missing; the first rank waits until everything is there."""
        start = time.monotonic()
        trained = self.pipeline.resolution
        untrained = self._allow_ratios({prompt.aspect_ratio for prompt in prompts})
        try:
            drawn = self._draw_all(prompts, folder, progress)
        finally:
            self.pipeline.resolution = trained
        return DrawnSet(**drawn, untrained_ratios=untrained, seconds=time.monotonic() - start)

    def _allow_ratios(self, wanted: set[float]) -> tuple[float, ...]:
        """Let the pipeline draw shapes that the model was not trained on, as far as it has schedules."""
        resolution = self.pipeline.resolution
        new = tuple(sorted(wanted - set(resolution.aspect_ratios)))
        if new:
            ratios = (*resolution.aspect_ratios, *new)
            self.pipeline.resolution = replace(resolution, aspect_ratios=ratios)
        return new

    def _draw_all(self, prompts: Sequence[EvalPrompt], folder: Path, progress: Report) -> dict[str, int]:
        jobs = self._jobs(prompts)
        folder.mkdir(parents=True, exist_ok=True)
        rows = read_rows(folder)
        self._refuse_others(folder, rows, jobs)
        if self.ranks.world_size == 1:  # nobody else writes; what more ranks have left comes first
            merge_rows(folder, rows, [])
        own_prompts = {prompt.id for prompt in self.ranks.share(prompts)}  # so each is rewritten once
        mine = [job for job in jobs if job.prompt.id in own_prompts]
        lost = set(self._lost(folder, rows, jobs))
        missing = [job for job in mine if job.image in lost]
        what, before = f"draw {folder.name}", len(mine) - len(missing)
        self._draw(missing, folder, lambda count: progress(what, before + count, len(mine)))
        if self.ranks.is_first:
            rows = self._wait(folder, [job for job in jobs if job.image in lost], rows)
            merge_rows(folder, rows, [job.image for job in jobs])
        num_truncated = sum(bool(rows[job.image].get("truncated")) for job in jobs if job.image in rows)
        return {"num_images": len(jobs), "num_drawn": len(missing), "num_truncated": num_truncated}

    def _jobs(self, prompts: Sequence[EvalPrompt]) -> list[_Job]:
        settings = {
            ratio: json.loads(json.dumps(self._settings(ratio)))  # as a manifest gives them back
            for ratio in {prompt.aspect_ratio for prompt in prompts}
        }
        return [
            _Job(
                prompt=prompt,
                index=index,
                seed=image_seed(self.seed, number, index),
                file=f"{_file_stem(prompt.id)}-{index:02d}.png",
                settings=settings[prompt.aspect_ratio],
            )
            for number, prompt in enumerate(prompts)
            for index in range(prompt.num_images)
        ]

    def _settings(self, ratio: float) -> dict[str, Any]:
        rewriter = None if self.rewriter is None else self.rewriter.fingerprint
        settings = self.pipeline.settings(aspect_ratio=ratio, **self.sampling).record()
        return {**self.origin, **settings, "rewriter": rewriter}

    def _lost(self, folder: Path, rows: Mapping[ImageId, Row], jobs: Sequence[_Job]) -> list[ImageId]:
        """Images that are missing or damaged."""
        there = [job for job in jobs if job.image in rows]
        bad = set(damaged(folder, [rows[job.image] for job in there]))
        return [job.image for job in jobs if job.image not in rows or rows[job.image]["file"] in bad]

    def _refuse_others(self, folder: Path, rows: Mapping[ImageId, Row], jobs: Sequence[_Job]) -> None:
        wanted = {job.image: job for job in jobs}
        common = {name: value for name, value in jobs[0].settings.items() if name != "aspect_ratio"}
        for image, row in rows.items():
            expected: dict[str, Any] = dict(common)
            if image in wanted:
                job = wanted[image]
                expected |= {**job.settings, "prompt": job.prompt.text, "seed": job.seed}
            found = {**row.get("settings", {}), **{name: row.get(name) for name in ("prompt", "seed")}}
            if other := sorted(name for name, value in expected.items() if found.get(name) != value):
                raise ValueError(
                    f"{folder} holds images of another model or other settings ({row['file']}: "
                    f"{', '.join(other)}); choose another --output"
                )

    def _draw(self, jobs: Sequence[_Job], folder: Path, advance: Any) -> None:
        if not jobs:
            return
        by_ratio: dict[float, list[_Job]] = defaultdict(list)
        for job in jobs:
            by_ratio[job.prompt.aspect_ratio].append(job)
        batches = [
            group[start : start + self.batch_size]
            for group in by_ratio.values()
            for start in range(0, len(group), self.batch_size)
        ]
        failed: list[str] = []
        count = 0
        with open_manifest(folder, self.ranks.own(Path(MANIFEST)).name) as manifest:
            for batch in batches:
                for job, row in zip(batch, self._draw_batch(batch, folder), strict=True):
                    if row is None:
                        failed.append(f"image {job.index} of {job.prompt.id}")
                    else:
                        manifest.write(json.dumps(row) + "\n")
                manifest.flush()
                count += len(batch)
                advance(count)
        if failed:
            raise ValueError(
                f"{len(failed)} of {len(jobs)} images failed, e.g. {', '.join(failed[:3])}: the model gave "
                "values that are not finite; draw in float32, or check its weights"
            )

    def _draw_batch(self, batch: Sequence[_Job], folder: Path) -> list[dict[str, Any] | None]:
        """Rows of the images, which are files then; None for one that failed."""
        texts = [job.prompt.text for job in batch]
        given = texts if self.rewriter is None else self.rewriter.rewrite(texts)
        before = self._num_truncated()
        output = self.pipeline(
            given,
            seeds=[job.seed for job in batch],
            aspect_ratio=batch[0].prompt.aspect_ratio,
            batch_size=len(batch),
            output_type="pt",
            **self.sampling,
        )
        cut = self._cut(given) if self._num_truncated() > before else set()
        images = output.images
        assert isinstance(images, torch.Tensor)
        rows: list[dict[str, Any] | None] = []
        for job, text, image, pixels in zip(batch, given, to_pil(images), to_uint8(images), strict=True):
            if not torch.isfinite(images[len(rows)]).all():
                rows.append(None)
                continue
            save_png(image, folder / job.file)
            rows.append(
                {
                    "file": job.file,
                    "prompt_id": job.prompt.id,
                    "index": job.index,
                    "prompt": job.prompt.text,
                    "rewritten": "" if self.rewriter is None else text,
                    "truncated": text in cut,
                    "seed": job.seed,
                    "sha256": sha256_of_pixels(pixels),
                    "settings": dict(job.settings),
                }
            )
        return rows

    def _num_truncated(self) -> int:
        return getattr(self.pipeline.text_encoder, "num_truncated", 0)

    def _cut(self, texts: Sequence[str]) -> set[str]:
        """Which texts are longer than the encoder takes; it says no more than how many."""
        cut = set()
        for text in set(texts):
            before = self._num_truncated()
            self.pipeline.text_encoder.encode([text])
            if self._num_truncated() > before:
                cut.add(text)
        return cut

    def _wait(self, folder: Path, jobs: Sequence[_Job], before: Mapping[ImageId, Row]) -> dict[ImageId, Row]:
        """Rows of all ranks, once the images of `jobs` are there; those with a row `before` were damaged."""
        since = time.monotonic()
        while True:
            rows = read_rows(folder)
            lost = {job.image for job in jobs if job.image not in rows}
            lost |= set(self._lost(folder, rows, [job for job in jobs if job.image in before]))
            if not lost:
                return rows
            if len(lost) < len(jobs):
                since = time.monotonic()
            elif time.monotonic() - since > self.patience:
                raise ValueError(
                    f"other ranks have drawn nothing for {self.patience:.0f} s and {len(jobs)} images are "
                    f"missing, e.g. image {jobs[0].index} of {jobs[0].prompt.id}; see what they say, then "
                    "run the same command again"
                )
            jobs = [job for job in jobs if job.image in lost]
            time.sleep(min(_POLL_SECONDS, self.patience / 4))


def _file_stem(prompt_id: str) -> str:
    """A file name of its own for every id, whatever is in it."""
    if re.fullmatch(r"\w[\w.-]{0,79}", prompt_id, re.ASCII):
        return prompt_id
    digest = sha256(prompt_id.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', prompt_id)[:40]}-{digest}"
