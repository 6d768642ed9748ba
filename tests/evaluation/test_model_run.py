"""Measure a saved pipeline: reconstructions, samples and baselines, into a report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.__main__ import main
from evaluation.metrics.bits import BitCounts
from evaluation.model_report import RunOptions, _caveats, _strips, run_model
from evaluation.model_run import ModelRun, read_split
from evaluation.provenance import sha256_of
from evaluation.reconstruction import ReconstructionScores
from evaluation.results import Result
from infinity.images import to_uint8
from tests.evaluation.random_features import RandomConvFeatures
from tests.pipelines import tiny_pipeline

SCENES = {"num_train": 1, "num_val": 6, "prompts_per_task": 1}


def make_data(root: Path, tier: str) -> Path:
    pack_dataset(root, shapesworld_dataset(ShapesWorldConfig(tier=tier, **SCENES)))
    return root


@pytest.fixture(scope="module")
def basic(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data") / "basic", "basic")


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
    originals = np.stack(list(read_split(basic, "val", 5)))
    images_B3HW = torch.from_numpy(originals).permute(0, 3, 1, 2).float() / 127.5 - 1
    codes = pipeline.tokenize(images_B3HW, pipeline.schedule(1.0))
    recons = to_uint8(pipeline.decode(codes.features_BDHW))
    expected = ReconstructionScores(RandomConvFeatures())
    expected.add(originals, recons)
    expected.add_bits([BitCounts.of(bits.numpy()) for bits in codes.bits])
    (group,) = scores.reconstructions
    assert group.metrics() == expected.metrics()
    assert group.tables() == expected.tables()
    np.testing.assert_array_equal(group.shown, list(zip(originals, recons, strict=True)))
    assert scores.metrics[: len(group.metrics())] == tuple(group.metrics())


def test_held_out_images_are_scored_in_batches(basic, pipeline):
    seen = []
    run = ModelRun(pipeline=pipeline, data=basic, num_reconstructions=5, splits=("id",), batch_size=2)
    (group,) = run(lambda *step: seen.append(step)).reconstructions
    assert group.num_images == 5
    assert [step for step in seen if step[0] == "reconstruct"] == [("reconstruct", k, 5) for k in (2, 4, 5)]


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


def test_prompts_and_images_without_a_schedule_are_left_out_and_counted(tmp_path):
    pipeline = tiny_pipeline(aspect_ratios=(1.0,))
    data = make_data(tmp_path / "full", "full")
    run = ModelRun(pipeline=pipeline, data=data, num_reconstructions=6, images_per_prompt=1)
    scores = run()
    assert scores.num_prompts_left_out > 0
    assert scores.num_images_left_out > 0
    assert scores.num_images_left_out + sum(group.num_images for group in scores.reconstructions) == 6
    shapes = {image.shape[:2] for images in scores.samples.values() for image in images}
    assert shapes == {(64, 64)}
    assert [caveat.split(" were")[0] for caveat in _caveats(scores)] == [
        f"{scores.num_prompts_left_out} of {scores.num_prompts_left_out + len(scores.prompts)} prompts",
        f"{scores.num_images_left_out} of 6 held-out images",
    ]


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
    assert {what for what, _, _ in seen} == {
        "reconstruct",
        "reconstruct the ground truth",
        "sample",
        "verify",
    }


def test_provenance_is_of_the_model_that_was_loaded(tmp_path, basic, pipeline):
    """Another export may come while images are drawn."""
    pipeline.save_pretrained(tmp_path / "model")
    weights = tmp_path / "model" / "transformer" / "model.safetensors"
    expected = sha256_of(weights)

    def export_again(*_):
        weights.with_suffix(".new").write_bytes(b"other weights")
        weights.with_suffix(".new").replace(weights)

    options = RunOptions(
        model=tmp_path / "model",
        data=basic,
        output=tmp_path / "scores",
        num_reconstructions=1,
        images_per_prompt=1,
    )
    run_model(options, export_again)
    result = Result.load(tmp_path / "scores")
    assert result.provenance.checkpoints["transformer"] == expected
    assert result.name == f"{tmp_path.name}/scores"


def test_strips_have_the_shape_of_their_prompts_images(basic):
    """The model's first aspect ratio is another one."""
    run = ModelRun(
        pipeline=tiny_pipeline(aspect_ratios=(0.6, 1.0)), data=basic, splits=("id",), images_per_prompt=1
    )
    scores = run()
    for strip in _strips(run, scores):
        assert {image.shape for image in strip.images} == {(64, 64, 3)}
        drawn = next(scores.samples[prompt.id] for prompt in scores.prompts if prompt.text == strip.caption)
        # one grey level: the batch is another one
        assert np.abs(strip.images[-1].astype(int) - drawn[0]).max() <= 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--images-per-prompt", "0"], "--images-per-prompt must be at least 1, got 0"),
        (["--num-reconstructions", "0"], "--num-reconstructions must be at least 1, got 0"),
        (["--device", "nowhere"], "nowhere"),
    ],
)
def test_options_that_can_not_work_are_refused_before_any_work(tmp_path, pipeline, words, sentence):
    pipeline.save_pretrained(tmp_path / "model")
    arguments = ["--model", str(tmp_path / "model"), "--data", str(tmp_path), "--output", str(tmp_path / "o")]
    with pytest.raises(SystemExit, match=f"error: .*{sentence}"):
        main(["run", *arguments, *words])
