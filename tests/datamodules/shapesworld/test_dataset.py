from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset, training_scene
from datamodules.shapesworld.grammar import TASKS
from tests.datamodules.conftest import CONFIG


def test_default_evaluation_has_forty_prompts_of_each_task() -> None:
    files = shapesworld_dataset(ShapesWorldConfig()).files
    prompts = [json.loads(line) for line in files["prompts.jsonl"].splitlines()]
    familiar = Counter(prompt["tag"] for prompt in prompts if prompt["split"] == "id")
    assert familiar == dict.fromkeys(TASKS, 40)
    assert len({prompt["id"] for prompt in prompts}) == len(prompts)
    novel = {(prompt["tag"], prompt["level"]) for prompt in prompts if prompt["split"] == "ood"}
    assert novel == {
        ("counting", "count"),
        ("colors", "color"),
        ("position", "relation"),
        ("color_attr", "pairs_L1"),
        ("color_attr", "pairs_L2"),
        ("color_attr", "pairs_L3"),
    }


def test_prompts_repeat_only_when_there_are_too_few() -> None:
    files = shapesworld_dataset(ShapesWorldConfig()).files
    prompts = [json.loads(line) for line in files["prompts.jsonl"].splitlines()]
    texts = Counter(p["prompt"] for p in prompts if p["split"] == "id" and p["tag"] == "color_attr")
    assert set(texts.values()) == {1}
    texts = Counter(p["prompt"] for p in prompts if p["split"] == "id" and p["tag"] == "single_object")
    assert set(texts.values()) == {10}


def test_the_mix_sets_the_share_of_tasks() -> None:
    config = ShapesWorldConfig(mix={"colors": 3.0, "counting": 1.0})
    tags = Counter(training_scene(config, "train", index).prompt.tag for index in range(400))
    assert set(tags) == {"colors", "counting"}
    assert 0.68 < tags["colors"] / 400 < 0.82


def test_world_file_names_what_the_tier_draws(shared_root: Path) -> None:
    world = json.loads((shared_root / "world.json").read_text())
    assert world["tier"] == "full"
    assert world["size"] == 32
    assert len(world["shapes"]) == 8
    assert len(world["shapes"]["ring"]) == 2
    assert world["colors"]["red"] == [220, 30, 30]
    assert len(world["backgrounds"]) == 5


def test_prompts_name_the_keys_of_their_renders(shared_root: Path) -> None:
    prompts = [json.loads(line) for line in (shared_root / "prompts.jsonl").read_text().splitlines()]
    members: dict[str, bytes] = {}
    for shard in (shared_root / "eval").glob("*.tar"):
        with tarfile.open(shard) as tar:
            members |= {m.name: tar.extractfile(m).read() for m in tar}  # type: ignore[union-attr]
    assert {name.partition(".")[0] for name in members} == {key for p in prompts for key in p["keys"]}
    for prompt in prompts:
        record = json.loads(members[f"{prompt['key']}.json"])
        image = Image.open(io.BytesIO(members[f"{prompt['key']}.png"]))
        assert members[f"{prompt['key']}.txt"].decode() == record["caption"] == prompt["prompt"]
        assert record["metadata"]["include"] == prompt["include"]
        assert image.size == (record["width"], record["height"])
        assert len(record["objects"]) == sum(clause["count"] for clause in prompt["include"])


def test_several_renders_of_a_prompt_differ() -> None:
    source = shapesworld_dataset(ShapesWorldConfig(prompts_per_task=1, renders_per_prompt=3)).splits["eval"]
    samples = [source[index] for index in range(3)]
    assert [sample.key for sample in samples] == [f"id-single_object-0000-{k}" for k in range(3)]
    assert len({sample.image for sample in samples}) == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"tier": "easy"}, "tier must be one of basic, full, got 'easy'"),
        ({"size": 50}, "size must be a multiple of 16"),
        ({"num_train": 0}, "num_train must be at least 1, got 0"),
        ({"mix": {"color": 1.0}}, "mix must give"),
    ],
)
def test_wrong_options_are_named(option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShapesWorldConfig(**option)  # type: ignore[arg-type]


def test_the_fixture_has_all_splits(shared_root: Path) -> None:
    counts = json.loads((shared_root / "dataset.json").read_text())["counts"]
    assert counts["train"] == CONFIG.num_train
    assert counts["val"] == CONFIG.num_val
    assert counts["eval"] == len((shared_root / "prompts.jsonl").read_text().splitlines())


def test_scenes_do_not_depend_on_the_order_of_the_mix() -> None:
    configs = [ShapesWorldConfig(mix=dict.fromkeys(tasks, 1.0)) for tasks in (TASKS, TASKS[::-1])]
    scenes = [[training_scene(config, "train", k).prompt for k in range(9)] for config in configs]
    assert scenes[0] == scenes[1]
