"""Prompts of the published benchmarks, from files that a user has put somewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.preference.prompts import HPS_STYLES, hps_prompts, image_reward_prompts
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFinder


def context(name: str, path: Path) -> EvalContext:
    return EvalContext(weights=WeightFinder({name: path}))


def test_imagereward_has_100_prompts_of_ten_images(tmp_path: Path) -> None:
    lines = [{"id": f"{number:06d}-0000", "prompt": f"prompt {number}"} for number in range(100)]
    (tmp_path / "prompts.json").write_text(json.dumps(lines))
    prompts = image_reward_prompts(context("imagereward-prompts", tmp_path / "prompts.json"))
    assert len(prompts) == 100
    assert (prompts[3].id, prompts[3].text, prompts[3].num_images) == ("000003-0000", "prompt 3", 10)


@pytest.mark.parametrize("content", [[{"id": "1", "prompt": "one"}], ["a text"] * 100, {"id": "prompt"}])
def test_another_file_is_refused(tmp_path: Path, content: object) -> None:
    (tmp_path / "prompts.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"prompts\.json must hold 100 prompts"):
        image_reward_prompts(context("imagereward-prompts", tmp_path / "prompts.json"))


def test_hpsv2_has_800_prompts_of_each_style_in_turns(tmp_path: Path) -> None:
    for style in HPS_STYLES:
        texts = [f"{style} {number}" for number in range(800)]
        (tmp_path / f"{style}.json").write_text(json.dumps(texts))
    prompts = hps_prompts(context("hpsv2-prompts", tmp_path))
    assert len(prompts) == 3200
    assert [prompt.metadata["style"] for prompt in prompts[:8]] == [*HPS_STYLES, *HPS_STYLES]
    assert (prompts[-1].id, prompts[-1].text) == ("photo-00799", "photo 799")


def test_a_missing_style_is_named(tmp_path: Path) -> None:
    (tmp_path / "anime.json").write_text(json.dumps(["x"] * 800))
    with pytest.raises(ValueError, match=r"concept-art\.json is missing"):
        hps_prompts(context("hpsv2-prompts", tmp_path))


def test_without_the_files_a_sentence_says_where_to_get_them() -> None:
    with pytest.raises(ValueError, match="zhwang/HPDv2 .* --weights hpsv2-prompts=PATH"):
        hps_prompts(EvalContext(weights=WeightFinder()))
