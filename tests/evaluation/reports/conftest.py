"""A synthetic evaluation of images that are right for about half of the prompts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from evaluation.provenance import Provenance
from evaluation.reports import ReportContent, Strip, sample_grids
from evaluation.results import MetricValue, Result, Table
from evaluation.shapeseval import (
    ground_truth_images,
    load_prompts,
    run_shapeseval,
    shuffled_prompts,
)


class Report(NamedTuple):
    result: Result
    content: ReportContent


@pytest.fixture(scope="module")
def report(world_dir) -> Report:
    prompts = load_prompts(world_dir)
    truth = ground_truth_images(world_dir, prompts)
    rolled = [*prompts[1::2], prompts[0]]
    drawn = dict(truth)
    for prompt, other in zip(prompts[::2], rolled, strict=False):
        drawn[prompt.id] = truth[other.id]
    arms = {"samples": run_shapeseval(world_dir, drawn)}
    arms["ground truth"] = run_shapeseval(world_dir, truth, arm="ground truth")
    arms["shuffled prompts"] = shuffled_prompts(arms["samples"])
    images = np.stack([images[0] for images in list(truth.values())[:4]])
    psnr = MetricValue(id="psnr[64px]", value=27.25, direction="higher", n=4, ci95=(26, 28), note="made up")
    result = Result(
        name="synthetic",
        metrics=(psnr, *(metric for arm in arms.values() for metric in arm.metrics())),
        provenance=Provenance(
            date="2026-01-01T00:00:00+00:00",
            git_sha="0123456789abcdef",
            git_dirty=True,
            versions={"torch": "2"},
            hardware={"cpu": "one"},
            seeds={"sampling": 3},
        ),
        config={"ar": {"depth": 6, "note": "<script>alert(1)</script>"}},
        tables={"bits_per_scale": Table(columns=("scale", "bits used"), rows=((1, 0.5), (2, None)))},
    )
    content = ReportContent(
        title="A <synthetic> run",
        grids=sample_grids(arms["samples"], drawn, seed=5),
        reconstructions=tuple(zip(images, images[::-1], strict=True)),
        strips=(Strip(caption="a strip", images=tuple(images[:3]), labels=("1x1", "2x2", "4x4")),),
        history={
            "vae/train/loss": [(step, 1 / (step + 1)) for step in range(1000)],
            "vae/val/loss": [(step, 1.1 / (step + 1)) for step in range(0, 1000, 100)],
            "ar/val/bit_accuracy/scale_01": [(0, 0.5), (100, 0.9)],
            "ar/val/bit_accuracy/scale_02": [(0, 0.5), (100, 0.8)],
            "ar/train/lr": [(0, 1e-4), (100, 1e-3)],
        },
        shapeseval=arms,
        caveats=("Rendered shapes, not photographs.",),
    )
    return Report(result, content)
