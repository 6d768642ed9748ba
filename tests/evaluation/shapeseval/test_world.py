from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.shapeseval.world import Prompt, World, load_prompts, parse_prompts

LINE = {
    "id": "p1",
    "tag": "position",
    "include": [{"class": "square", "count": 1}, {"class": "circle", "count": 1, "position": ["above", 0]}],
    "prompt": "a picture of a circle above a square",
    "split": "ood",
    "level": "relation",
    "aspect_ratio": 1.0,
    "key": "p1-0",
    "keys": ["p1-0", "p1-1"],
}


def test_a_prompt_line_survives_the_round_trip() -> None:
    assert Prompt.from_dict(LINE).to_dict() == LINE


def test_the_target_of_a_relation_is_another_group() -> None:
    circle = Prompt.from_dict(LINE).include[1]
    assert (circle.shape, circle.relation, circle.target) == ("circle", "above", 0)


def test_repeated_prompt_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        parse_prompts(f"{json.dumps(LINE)}\n{json.dumps(LINE)}\n")


def test_world_and_prompts_are_read_from_the_data_directory(world_dir: Path) -> None:
    world, prompts = World.load(world_dir), load_prompts(world_dir)
    assert world.tier == "basic"
    assert world.size == 64
    named = {query.shape for prompt in prompts for query in prompt.include}
    assert named <= set(world.shapes)
    assert {prompt.split for prompt in prompts} == {"id", "ood"}


def test_facts_that_only_the_renderer_needs_are_passed_over() -> None:
    facts = {
        "tier": "t",
        "size": 64,
        "shapes": {"dot": [[[0, 0], [1, 0], [0, 1]]]},
        "colors": {"red": [9, 0, 0]},
        "backgrounds": [[1, 2, 3]],
    }
    world = World.from_dict(facts)
    assert world.colors == {"red": (9, 0, 0)}
    assert world.shapes["dot"][0].shape == (3, 2)


@pytest.mark.parametrize("load", [World.load, load_prompts])
def test_a_directory_without_world_is_refused_with_the_next_step(load, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="make data"):
        load(tmp_path)


def test_a_world_without_colors_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lacks colors"):
        World.from_dict({"tier": "t", "size": 64, "shapes": {"dot": []}})
