from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from datamodules.shapesworld import WORLDS, ShapesWorldConfig, render_scene, shapesworld_dataset
from datamodules.shapesworld.grammar import TASKS, Noun, prompts_of
from datamodules.shapesworld.grammar import Prompt as Drawn
from datamodules.shapesworld.holdouts import color_held_out, ood_level, relation_held_out
from datamodules.shapesworld.scenes import sample_scene
from evaluation.shapeseval.hard import HARD_LEVELS, RATIOS, hard_prompts
from evaluation.shapeseval.verify import verify_images
from evaluation.shapeseval.world import Prompt, World

Tier = Literal["basic", "full"]
NEW_TASKS = ("three_objects", "position_attr")


@pytest.fixture(scope="module", params=["basic", "full"])
def tier(request: pytest.FixtureRequest) -> Tier:
    return request.param


@pytest.fixture(scope="module")
def data(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that hard prompts are made from."""
    root = tmp_path_factory.mktemp(tier)
    parts = shapesworld_dataset(ShapesWorldConfig(tier=tier, size=128))
    for name, text in parts.files.items():
        (root / name).write_text(text)
    return root


@pytest.fixture(scope="module")
def prompts(data: Path) -> list[Prompt]:
    return hard_prompts(data)


def pairs(prompt: Prompt) -> Iterator[tuple[str, str]]:
    return ((query.shape, query.color) for query in prompt.include if query.color is not None)


def test_every_level_has_prompts_of_its_own(prompts: list[Prompt], data: Path) -> None:
    assert {prompt.level for prompt in prompts} == set(HARD_LEVELS)
    assert {prompt.split for prompt in prompts} == {"hard"}
    assert len({prompt.id for prompt in prompts}) == len(prompts)
    for level, tags in (("template", TASKS), ("aspect", TASKS), ("three_objects", ("three_objects",))):
        for tag in tags:
            assert sum(prompt.level == level and prompt.tag == tag for prompt in prompts) == 40
    assert prompts == hard_prompts(data), "they are the same on every call"
    assert len(hard_prompts(data, per_task=3)) < 60


def test_no_training_caption_is_a_hard_prompt(prompts: list[Prompt], tier: Tier) -> None:
    world = WORLDS[tier]
    trained = {
        prompt.text
        for task in TASKS
        for prompt in prompts_of(world, task)
        if ood_level(world, prompt) == "id"
    }
    for prompt in prompts:
        if prompt.level == "aspect":
            assert prompt.text in trained
            assert prompt.aspect_ratio not in world.aspect_ratios
        else:
            assert prompt.text not in trained


def test_nothing_but_the_level_is_held_out(prompts: list[Prompt], tier: Tier) -> None:
    world = WORLDS[tier]
    for prompt in prompts:
        assert not any(color_held_out(world, shape, color) for shape, color in pairs(prompt))
        for query in prompt.include:
            if query.relation is not None and query.target is not None:
                target = prompt.include[query.target].shape
                assert not relation_held_out(world, query.shape, query.relation, target)
        if prompt.level != "productivity":
            assert all(query.count <= 4 for query in prompt.include)


def test_prompts_of_three_objects_and_of_coloured_relations_name_different_things(
    prompts: list[Prompt],
) -> None:
    for prompt in prompts:
        if prompt.tag not in NEW_TASKS:
            continue
        assert len(prompt.include) == (3 if prompt.tag == "three_objects" else 2)
        assert len(set(pairs(prompt))) == len(prompt.include)
        for words in (f"{color} {shape}" for shape, color in pairs(prompt)):
            assert words in prompt.text


def test_both_held_out_shapes_of_images_are_asked_for(prompts: list[Prompt]) -> None:
    assert {prompt.aspect_ratio for prompt in prompts if prompt.level == "aspect"} == set(RATIOS)
    assert {prompt.aspect_ratio for prompt in prompts if prompt.level != "aspect"} <= {1.0, 0.6, 5 / 3}


def test_pictures_of_hard_prompts_are_accepted(prompts: list[Prompt], data: Path, tier: Tier) -> None:
    """The benchmark can be solved: scenes drawn for these prompts pass the verifier."""
    world = replace(WORLDS[tier], layout="free", radius=(0.11, 0.15), radius_many=(0.1, 0.12))
    rng = random.Random(0)
    some = [prompt for prompt in prompts if int(prompt.id[-4:]) < 10]
    scenes = [
        sample_scene(world, drawn(prompt), rng, aspect_ratio=prompt.aspect_ratio, guarded=False)
        for prompt in some
    ]
    images = [render_scene(scene, 128) for scene in scenes]
    verdicts = verify_images(images, some, World.load(data))
    assert len(verdicts) >= 100
    assert np.mean([verdict.correct for verdict in verdicts]) >= 0.99


def drawn(prompt: Prompt) -> Drawn:
    """What the renderer takes; of a relation, the subject comes first."""
    nouns = tuple(Noun(query.shape, query.color, query.count) for query in prompt.include)
    relation = prompt.include[-1].relation
    return Drawn("position", nouns[::-1] if relation else nouns, relation)


def test_wordings_of_another_world_are_refused(tmp_path: Path, world_dir: Path) -> None:
    for name in ("world.json", "prompts.jsonl"):
        text = (world_dir / name).read_text()
        (tmp_path / name).write_text(text.replace("a picture of", "a photo of"))
    with pytest.raises(ValueError, match="begin with 'a picture of '"):
        hard_prompts(tmp_path)
