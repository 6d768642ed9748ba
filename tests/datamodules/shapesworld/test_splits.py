"""What is held out, and that training shows none of it, in words or in pixels."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations, permutations

import pytest

from datamodules.shapesworld import WORLDS, ShapesWorldConfig, World, training_scene
from datamodules.shapesworld.dataset import evaluation_prompts, evaluation_scene
from datamodules.shapesworld.grammar import TASKS, Noun, Prompt, prompts_of
from datamodules.shapesworld.holdouts import ood_level
from datamodules.shapesworld.scenes import Scene

worlds = pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: world.tier)
NUM_SCENES = 2000

CAPTION = re.compile(
    r"a picture of (?:an? (?:(?P<c1>\w+) )?(?P<s1>\w+?)"
    r"(?: (?P<rel>and|left of|right of|above|below) an? (?:(?P<c2>\w+) )?(?P<s2>\w+))?"
    r"|(?P<n>two|three|four) (?P<plural>\w+?)(?:es|s))$"
)


def genevals_relations(a: tuple[float, ...], b: tuple[float, ...], slack: float) -> set[str]:
    """The benchmark's rule, written out."""
    dx, dy = (a[0] + a[2]) / 2 - (b[0] + b[2]) / 2, (a[1] + a[3]) / 2 - (b[1] + b[3]) / 2
    distance = (dx**2 + dy**2) ** 0.5
    if abs(dx) <= slack * (a[2] - a[0] + b[2] - b[0]):
        dx = 0
    else:
        dx -= slack * (a[2] - a[0] + b[2] - b[0]) * (1 if dx > 0 else -1)
    if abs(dy) <= slack * (a[3] - a[1] + b[3] - b[1]):
        dy = 0
    else:
        dy -= slack * (a[3] - a[1] + b[3] - b[1]) * (1 if dy > 0 else -1)
    named = {"left of": -dx, "right of": dx, "above": -dy, "below": dy}
    return {name for name, value in named.items() if value / distance > 0.5}


class HeldOut:
    """All facts that some held-out prompt states, gathered from the prompts themselves."""

    def __init__(self, world: World) -> None:
        by_level: dict[str, list[Prompt]] = {}
        for task in TASKS:
            for prompt in prompts_of(world, task):
                by_level.setdefault(ood_level(world, prompt), []).append(prompt)
        self.colors = {(p.nouns[0].shape, p.nouns[0].color) for p in by_level["color"]}
        self.counts = {(p.nouns[0].shape, p.nouns[0].number) for p in by_level["count"]}
        self.relations = {(p.nouns[0].shape, p.relation, p.nouns[1].shape) for p in by_level["relation"]}
        self.pairs = {frozenset((n.shape, n.color) for n in p.nouns) for p in by_level["pairs_L1"]}

    def leaks(self, scene: Scene) -> list[str]:
        """Held-out facts that a scene shows."""
        found = [f"{o.color} {o.shape}" for o in scene.objects if (o.shape, o.color) in self.colors]
        found += [
            f"{n} {s}" for s, n in Counter(o.shape for o in scene.objects).items() if (s, n) in self.counts
        ]
        for a, b in permutations(scene.objects, 2):
            if a.shape != b.shape:
                holding = genevals_relations(a.box(), b.box(), 0.1)
                found += [
                    f"{a.shape} {r} {b.shape}" for r in holding if (a.shape, r, b.shape) in self.relations
                ]
        for a, b in combinations(scene.objects, 2):
            pairs = frozenset({(a.shape, a.color), (b.shape, b.color)})
            found += [str(sorted(pairs))] if pairs in self.pairs else []
        return found


def test_the_colour_pairs_of_basic_are_the_documented_ones() -> None:
    assert HeldOut(WORLDS["basic"]).colors == {
        ("circle", "red"),
        ("square", "black"),
        ("triangle", "pink"),
        ("cross", "blue"),
    }


def test_the_colour_pairs_of_full_follow_the_published_rule() -> None:
    world = WORLDS["full"]
    rule = {
        (shape, color)
        for i, shape in enumerate(world.shapes)
        for j, color in enumerate(world.colors)
        if (3 * i + j) % 10 in (0, 1)
    }
    assert len(rule) == 16
    assert HeldOut(world).colors == rule


@worlds
def test_a_held_out_relation_is_held_out_in_both_wordings_and_trained_swapped(world: World) -> None:
    converse = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    held_out = HeldOut(world).relations
    assert 0.1 < len(held_out) / len(prompts_of(world, "position")) < 0.3
    for a, relation, b in held_out:
        assert (b, converse[relation], a) in held_out
        assert (b, relation, a) not in held_out


@worlds
def test_training_scenes_show_nothing_that_a_held_out_prompt_says(world: World) -> None:
    config = ShapesWorldConfig(tier=world.tier)
    held_out = HeldOut(world)
    for split in ("train", "val"):
        for index in range(NUM_SCENES):
            scene = training_scene(config, split, index)
            assert not held_out.leaks(scene), (split, index)


@worlds
def test_training_captions_say_nothing_held_out_and_keep_to_the_grammar(world: World) -> None:
    config = ShapesWorldConfig(tier=world.tier)
    held_out = HeldOut(world)
    numbers = {"two": 2, "three": 3, "four": 4}
    for index in range(NUM_SCENES):
        match = CAPTION.match(training_scene(config, "train", index).prompt.text)
        assert match is not None
        first, second = (match["s1"], match["c1"]), (match["s2"], match["c2"])
        assert first not in held_out.colors
        assert second not in held_out.colors
        assert frozenset({first, second}) not in held_out.pairs
        assert (match["s1"], match["rel"], match["s2"]) not in held_out.relations
        if match["n"]:
            assert (match["plural"], numbers[match["n"]]) not in held_out.counts


@worlds
def test_held_out_scenes_would_be_caught(world: World) -> None:
    config = ShapesWorldConfig(tier=world.tier, prompts_per_task=10)
    held_out = HeldOut(world)
    levels = {"color", "count", "relation", "pairs_L1", "pairs_L2", "pairs_L3"}
    prompts = [prompt for prompt in evaluation_prompts(config) if prompt.level in levels]
    assert {prompt.level for prompt in prompts} == levels
    assert all(held_out.leaks(evaluation_scene(config, prompt, 0)) for prompt in prompts)


@worlds
def test_every_word_is_trained(world: World) -> None:
    scenes = [training_scene(ShapesWorldConfig(tier=world.tier), "train", k) for k in range(NUM_SCENES)]
    words = set(" ".join(scene.prompt.text for scene in scenes).split())
    assert {*world.shapes, *world.colors, "left", "right", "above", "below", "two", "three", "four"} <= words


@pytest.mark.parametrize(
    ("nouns", "relation", "text"),
    [
        ((Noun("circle"),), None, "a picture of a circle"),
        ((Noun("star", "orange"),), None, "a picture of an orange star"),
        ((Noun("cross", number=3),), None, "a picture of three crosses"),
        ((Noun("ring"), Noun("heart")), None, "a picture of a ring and a heart"),
        ((Noun("ring"), Noun("heart")), "left of", "a picture of a ring left of a heart"),
    ],
)
def test_prompts_are_worded_by_the_grammar(nouns: tuple[Noun, ...], relation: str | None, text: str) -> None:
    assert Prompt("position", nouns, relation).text == text


def test_metadata_follows_genevals_schema() -> None:
    position = Prompt("position", (Noun("ring"), Noun("heart")), "above").metadata()
    assert position["include"] == [
        {"class": "heart", "count": 1},
        {"class": "ring", "count": 1, "position": ["above", 0]},
    ]
    counting = Prompt("counting", (Noun("star", number=3),)).metadata()
    assert counting["include"] == [{"class": "star", "count": 3}]
    assert counting["exclude"] == [{"class": "star", "count": 4}]
    bound = Prompt("color_attr", (Noun("star", "red"), Noun("ring", "blue"))).metadata()
    assert [clause["color"] for clause in bound["include"]] == ["red", "blue"]
