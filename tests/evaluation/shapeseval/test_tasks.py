"""ShapesEval as the runner sees it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.image_folders import write_image
from evaluation.results import Result
from evaluation.shapeseval.baselines import ground_truth_images
from evaluation.shapeseval.hard import RATIOS
from evaluation.shapeseval.prompt_sets import hard_set, standard_set
from evaluation.shapeseval.world import load_prompts
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.tasks.registry import TASKS, build_prompts, build_task
from evaluation.weights import WeightFinder
from infinity.pipeline import InfinityPipeline
from tests.pipelines import tiny_pipeline


@pytest.fixture
def context(world_dir: Path) -> EvalContext:
    return EvalContext(weights=WeightFinder(), data=world_dir)


def samples_of(prompts: list[EvalPrompt], world_dir: Path, folder: Path) -> list[EvalSample]:
    """The ground truth as if it had been drawn."""
    truth = ground_truth_images(world_dir, load_prompts(world_dir))
    samples = []
    for prompt in prompts:
        path = folder / f"{prompt.id}.png"
        write_image(path, truth[prompt.id][0])
        samples.append(EvalSample(prompt=prompt, index=0, path=path, sha256="", seed=0))
    return samples


def test_the_ground_truth_scores_one_and_shuffled_prompts_nothing(
    context: EvalContext, world_dir: Path, tmp_path: Path
) -> None:
    samples = samples_of(list(build_prompts("shapesworld", context)), world_dir, tmp_path)
    score = build_task("shapeseval").score(samples, context)
    values = {metric.id: metric.value for metric in score.metrics}
    assert len(values) == len(score.metrics)
    prefix = "shapeseval[basic,64px,verifier=1"
    for split in ("id", "ood"):
        assert values[f"{prefix}]/{split}/overall"] == 1
        assert values[f"{prefix}]/{split}/binding_error_rate"] == 0
        assert values[f"{prefix},shuffled_prompts]/{split}/overall"] == 0
    assert values[f"{prefix}]/gap/pairs_L3"] == 0
    assert [(row["prompt_id"], row["index"]) for row in score.rows] == [(s.prompt.id, 0) for s in samples]
    assert score.caveats == ()
    assert sorted(name.partition(",")[0] for name in score.tables) == [
        "compositional levels",
        "confusion of colours",
        "confusion of counts",
        "confusion of shapes",
    ]


def test_the_ids_and_caveats_of_a_part_say_so(context: EvalContext, world_dir: Path, tmp_path: Path) -> None:
    prompts = list(build_prompts("shapesworld", context))
    samples = samples_of(prompts[:3], world_dir, tmp_path)
    score = build_task("shapeseval").score(samples, context)
    num = len([prompt for prompt in prompts if prompt.metadata["split"] == "id"])
    assert all(f"prompts=3of{num}" in metric.id for metric in score.metrics)
    assert f"{len(prompts) - 3} of {len(prompts)} prompts" in score.caveats[0]


def test_one_image_has_no_shuffled_prompts(context: EvalContext, world_dir: Path, tmp_path: Path) -> None:
    samples = samples_of(standard_set(context)[:1], world_dir, tmp_path)
    score = build_task("shapeseval").score(samples, context)
    assert not any("shuffled" in metric.id for metric in score.metrics)


def test_beginnings_of_a_prompt_set_hold_every_task_and_level(context: EvalContext) -> None:
    prompts = standard_set(context)
    groups = {(prompt.metadata["tag"], prompt.metadata["level"]) for prompt in prompts}
    first = {(p.metadata["tag"], p.metadata["level"]) for p in prompts[: len(groups)]}
    assert first == groups
    assert len({prompt.id for prompt in prompts}) == len(prompts)


def test_baselines_are_of_the_same_prompts(tmp_path: Path) -> None:
    pack_dataset(
        tmp_path, shapesworld_dataset(ShapesWorldConfig(size=64, num_train=60, num_val=1, prompts_per_task=2))
    )
    context = EvalContext(weights=WeightFinder(), data=tmp_path, limit=12)
    score = build_task("shapeseval-baselines").score([], context)
    values = {metric.id.split("verifier=1,")[1]: metric.value for metric in score.metrics}
    assert values["ground_truth]/id/overall"] == 1
    assert values["ground_truth]/ood/overall"] == 1
    assert values["nearest_training_prompt]/ood/level/pairs_L3"] == 0, "training shows no such pair"
    assert 0 < values["random_colours]/id/overall"] < 1
    assert {metric.n for metric in score.metrics if metric.id.endswith("/overall")} == {6}
    Result(name="", metrics=score.metrics, provenance=None)  # type: ignore[arg-type]  # ids are unique


def test_the_ceiling_judges_reconstructions(context: EvalContext, pipeline: InfinityPipeline) -> None:
    """A tokenizer with random weights draws nothing that a prompt asks for."""
    ceiling = build_task("shapeseval-ceiling").score([], replace(context, pipeline=pipeline, limit=9))
    values = {metric.id: metric for metric in ceiling.metrics}
    overall = next(metric for name, metric in values.items() if name.endswith("reconstructions]/id/overall"))
    assert (overall.value, overall.n) == (0, 6)
    with pytest.raises(ValueError, match="--model"):
        build_task("shapeseval-ceiling").score([], context)


def test_held_out_shapes_of_images_are_drawn_by_models_that_have_a_schedule(
    context: EvalContext, pipeline: InfinityPipeline
) -> None:
    ratios = {prompt.aspect_ratio for prompt in hard_set(replace(context, pipeline=pipeline))}
    assert ratios == {1.0, *RATIOS}
    fixed = tiny_pipeline(aspect_ratios=(1.0,))
    fixed.resolution = replace(fixed.resolution, sides=(), pixels="0.06M")  # the paper's list of shapes
    assert {prompt.aspect_ratio for prompt in hard_set(replace(context, pipeline=fixed))} == {1.0}


def test_hard_images_are_judged_by_their_own_prompts(
    context: EvalContext, pipeline: InfinityPipeline, tmp_path: Path
) -> None:
    prompts = hard_set(replace(context, pipeline=pipeline))[:20]
    samples = []
    for prompt in prompts:
        shapes = {RATIOS[0]: (40, 96), RATIOS[1]: (96, 40)}
        height, width = shapes.get(prompt.aspect_ratio, (64, 64))
        path = tmp_path / f"{prompt.id}.png"
        write_image(path, np.full((height, width, 3), 235, np.uint8))
        samples.append(EvalSample(prompt=prompt, index=0, path=path, sha256="", seed=0))
    score = build_task("shapeseval-hard").score(samples, context)
    values = {metric.id.partition("]/")[2]: metric for metric in score.metrics if "shuffled" not in metric.id}
    assert (values["hard/overall"].value, values["hard/overall"].n) == (0, 20)
    assert {row["reason"][:3] for row in score.rows} == {"no "}, "empty pictures lack what was asked for"


@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith("shapeseval")])
def test_data_of_another_kind_are_refused(name: str, tmp_path: Path, pipeline: InfinityPipeline) -> None:
    context = EvalContext(weights=WeightFinder(), data=tmp_path, pipeline=pipeline)
    with pytest.raises(ValueError, match=r"(no|lacks) (world\.json|prompts\.jsonl).*make data"):
        build_task(name).score([], context)
