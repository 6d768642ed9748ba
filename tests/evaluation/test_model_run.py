"""Measure a saved pipeline: reconstructions, samples and baselines, into a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.features import RandomConvFeatures
from evaluation.model_report import RunOptions, run_model
from evaluation.model_run import ModelRun, read_split
from tests.pipelines import tiny_pipeline

SCENES = {"num_train": 1, "num_val": 6, "prompts_per_task": 1}


def make_data(root: Path, tier: str) -> Path:
    pack_dataset(root, shapesworld_dataset(ShapesWorldConfig(tier=tier, **SCENES)))
    return root


@pytest.fixture(scope="module")
def basic(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data") / "basic", "basic")


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    return tiny_pipeline()


@pytest.fixture(scope="module")
def scores(basic, pipeline):
    return ModelRun(
        pipeline=pipeline, data=basic, extractor=RandomConvFeatures(), num_reconstructions=5, splits=("id",)
    )()


def test_the_ground_truth_is_all_right_and_every_arm_judges_every_prompt(scores):
    assert set(scores.arms) == {"samples", "ground truth", "reconstructions", "shuffled prompts"}
    num_prompts = len(scores.prompts)
    assert len(scores.arms["ground truth"].images) == num_prompts
    assert len(scores.arms["samples"].images) == 2 * num_prompts
    assert all(image.verdict.correct for image in scores.arms["ground truth"].images)


def test_reconstructions_are_what_the_tokenizer_makes_of_held_out_images(scores, basic, pipeline):
    (group,) = scores.reconstructions
    np.testing.assert_array_equal(group.originals, np.stack(list(read_split(basic, "val", 5))))
    images_B3HW = torch.from_numpy(group.originals).permute(0, 3, 1, 2).float() / 127.5 - 1
    codes = pipeline.tokenize(images_B3HW, pipeline.schedule(1.0))
    for ours, expected in zip(group.bits, codes.bits, strict=True):
        np.testing.assert_array_equal(ours, expected.numpy())
    assert any(metric.id == "psnr[64px]" and metric.n == 5 for metric in scores.metrics)


def test_samples_follow_the_seed(basic, pipeline):
    first, again, other = (
        ModelRun(
            pipeline=pipeline,
            data=basic,
            num_reconstructions=1,
            seed=seed,
            splits=("id",),
            images_per_prompt=1,
        )()
        for seed in (0, 0, 1)
    )
    for prompt in first.prompts:
        np.testing.assert_array_equal(again.samples[prompt.id], first.samples[prompt.id])
        assert not np.array_equal(other.samples[prompt.id], first.samples[prompt.id])


def test_prompts_without_a_schedule_are_left_out_and_counted(tmp_path, pipeline):
    data = make_data(tmp_path / "full", "full")
    run = ModelRun(pipeline=pipeline, data=data, num_reconstructions=6, images_per_prompt=1)
    scores = run()
    assert scores.num_left_out > 0
    shapes = {image.shape[:2] for images in scores.samples.values() for image in images}
    assert shapes <= {(64, 64), (48, 80)}


def test_a_model_of_another_image_size_is_refused(tmp_path, pipeline):
    root = tmp_path / "large"
    pack_dataset(root, shapesworld_dataset(ShapesWorldConfig(size=96, **SCENES)))
    with pytest.raises(ValueError, match="holds no image of the model's size .*64x64"):
        ModelRun(pipeline=pipeline, data=root)()


def test_the_command_writes_a_report_with_provenance(tmp_path, basic, pipeline):
    pipeline.save_pretrained(tmp_path / "model")
    seen = []
    options = RunOptions(
        model=tmp_path / "model",
        data=basic,
        output=tmp_path / "report",
        num_reconstructions=4,
        images_per_prompt=1,
    )
    page = run_model(options, lambda *step: seen.append(step))
    assert page == tmp_path / "report" / "report.html"
    assert "http://" not in page.read_text()
    result = json.loads((tmp_path / "report" / "result.json").read_text())
    assert len(result["provenance"]["checkpoints"]["transformer"]) == 64
    assert result["config"]["vae"]["config"]["patchify"] == 2
    assert {what for what, _, _ in seen} == {"reconstruct", "sample", "verify"}
