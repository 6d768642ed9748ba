from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.shapeseval import (
    ShapesEvalResult,
    ground_truth_images,
    load_prompts,
    run_shapeseval,
    select_prompts,
    shuffled_prompts,
)
from evaluation.shapeseval.baselines import _request
from evaluation.shapeseval.results import TASKS


@pytest.fixture(scope="module")
def truth(world_dir: Path) -> ShapesEvalResult:
    images = ground_truth_images(world_dir, load_prompts(world_dir))
    return run_shapeseval(world_dir, images, arm="ground truth")


def with_correct(result: ShapesEvalResult, correct: dict[str, bool]) -> ShapesEvalResult:
    """The same images, with verdicts by task."""
    images = [
        replace(image, verdict=replace(image.verdict, correct=correct[image.prompt.tag]))
        for image in result.images
    ]
    return replace(result, images=tuple(images))


def test_ground_truth_scores_one(truth: ShapesEvalResult) -> None:
    assert truth.splits == ("id", "ood")
    for split in truth.splits:
        assert truth.overall(split).accuracy.value == 1
        assert sum(truth.failures(split).values()) == 0
    assert [score.name for score in truth.tasks("id")] == list(TASKS)


def test_overall_is_the_unweighted_mean_of_task_means(truth: ShapesEvalResult) -> None:
    correct = {task: task in ("single_object", "counting", "position") for task in TASKS}
    score = with_correct(truth, correct).overall("id")
    assert score.accuracy.value == pytest.approx(0.5)
    assert score.accuracy.low < 0.5 < score.accuracy.high


def test_shuffled_prompts_are_all_others_and_score_near_zero(truth: ShapesEvalResult) -> None:
    shuffled = shuffled_prompts(truth)
    assert len(shuffled.images) == len(truth.images)
    original = {image.sha256: image.prompt for image in truth.images}
    for image in shuffled.images:
        before = original[image.sha256]
        assert image.prompt.tag == before.tag
        assert image.prompt.split == before.split
        assert _request(image.prompt) != _request(before)
    # perfect images are right for another prompt only if that asks for less; within a task none does
    assert shuffled.overall("id").accuracy.value == 0
    assert shuffled_prompts(truth, seed=0) == shuffled
    assert shuffled_prompts(truth, seed=1) != shuffled


def test_metric_ids_carry_world_size_verifier_and_arm(truth: ShapesEvalResult) -> None:
    ids = [metric.id for metric in truth.metrics()]
    assert "shapeseval[basic,64px,verifier=1,ground_truth]/id/overall" in ids
    assert "shapeseval[basic,64px,verifier=1,ground_truth]/ood/level/color" in ids
    assert len(ids) == len(set(ids))


def test_rows_bring_the_result_back(truth: ShapesEvalResult) -> None:
    shuffled = shuffled_prompts(truth)
    arms = ShapesEvalResult.from_rows([*truth.rows(), *shuffled.rows()])
    assert arms["ground truth"].metrics() == truth.metrics()
    assert arms["shuffled prompts"].metrics() == shuffled.metrics()
    assert arms["shuffled prompts"].failures("id") == shuffled.failures("id")


def test_rows_of_two_benchmarks_make_no_report(truth: ShapesEvalResult) -> None:
    other = replace(truth, knobs="full,64px")
    with pytest.raises(ValueError, match="one report shows one ShapesEval, got basic,64px and full,64px"):
        ShapesEvalResult.from_rows([*truth.rows(), *other.rows()])


def test_scores_of_a_part_of_the_prompts_say_so(world_dir: Path) -> None:
    everything = load_prompts(world_dir)
    images = ground_truth_images(world_dir, everything)
    id_only = select_prompts(everything, splits=("id",))
    for prompts, knobs in ((id_only, "basic,64px"), (id_only[1:], "basic,64px,prompts=23of24")):
        chosen = {prompt.id: images[prompt.id] for prompt in prompts}
        assert run_shapeseval(world_dir, chosen, prompts=prompts).knobs == knobs


def test_blank_images_are_missing_objects(world_dir: Path) -> None:
    prompts = select_prompts(load_prompts(world_dir), splits=("id",), per_task=2)
    blank = np.full((64, 64, 3), 235, np.uint8)
    result = run_shapeseval(world_dir, {prompt.id: [blank, blank] for prompt in prompts}, prompts=prompts)
    assert result.overall("id").accuracy.value == 0
    assert result.overall("id").num_images == 24
    failures = {kind: count for kind, count in result.failures("id").items() if count}
    assert failures == {"missing_object": 24}


def test_a_missing_image_fails_the_run(world_dir: Path) -> None:
    prompts = load_prompts(world_dir)
    images = ground_truth_images(world_dir, prompts)
    del images[prompts[3].id]
    with pytest.raises(ValueError, match=rf"1 of {len(prompts)} prompts have no image, e.g. {prompts[3].id}"):
        run_shapeseval(world_dir, images)


def test_images_of_foreign_prompts_fail_the_run(world_dir: Path) -> None:
    prompts = load_prompts(world_dir)
    images = ground_truth_images(world_dir, prompts[:2])
    with pytest.raises(ValueError, match="not to be scored"):
        run_shapeseval(world_dir, images, prompts=prompts[:1])


def test_selection_takes_the_first_of_every_task_and_level(world_dir: Path) -> None:
    chosen = select_prompts(load_prompts(world_dir), splits=("ood",), per_task=1)
    assert len(chosen) == len({(prompt.tag, prompt.level) for prompt in chosen})
    assert {prompt.split for prompt in chosen} == {"ood"}
    with pytest.raises(ValueError, match="no prompts of split test"):
        select_prompts(load_prompts(world_dir), splits=("test",))
    with pytest.raises(ValueError, match="per_task must be at least 1, got 0"):
        select_prompts(load_prompts(world_dir), per_task=0)


def test_lost_renders_are_named(world_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="make the data set again"):
        ground_truth_images(tmp_path, load_prompts(world_dir)[:1])
