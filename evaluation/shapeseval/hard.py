"""Harder prompts on a ShapesWorld that exists already: nothing is rendered for them, training stays as it is.

Levels, each new to a model in one way:

- ``template``: prompts of the training distribution in wordings that no training caption has.
- ``productivity``: five and six objects; training shows four at most.
- ``aspect``: pictures of 12:5 and 5:12; training has none flatter than 5:3.
- ``three_objects``: three objects, each of its own shape and colour; training names two.
- ``position_attr``: a relation of two objects whose colours are named too; training names one or the other.

Every coloured shape, and every relation of two shapes, is one of the data set's own prompts of the training
distribution; only that coloured shapes meet which never met in training may come on top of the level.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

from evaluation.shapeseval.world import Prompt, Query, World, load_prompts

__all__ = ["COUNTS", "HARD_LEVELS", "RATIOS", "TEMPLATES", "hard_prompts"]

HARD_LEVELS = ("template", "productivity", "aspect", "three_objects", "position_attr")

TEMPLATES = (
    "an image of {}",
    "this drawing shows {}",
    "{} on a plain background",
    "a simple illustration with {} in it",
    "we see {} here",
)

COUNTS = {5: "five", 6: "six"}

RATIOS = (5 / 12, 12 / 5)
"""height / width"""

_TRAINED = "a picture of "


def hard_prompts(world_dir: str | Path, *, per_task: int = 40) -> list[Prompt]:
    """Prompts of all levels, `per_task` of every task and level (fewer where there are no more).

    The split of all of them is ``hard``; they have no ground truth.
    """
    world, known = World.load(world_dir), [p for p in load_prompts(world_dir) if p.level == "id"]
    if foreign := [prompt.text for prompt in known if not prompt.text.startswith(_TRAINED)]:
        raise ValueError(f"prompts of ShapesWorld begin with {_TRAINED!r}, got {foreign[0]!r}")
    groups = [
        *_varied("template", known, per_task),
        ("counting", "productivity", _counting(world)),
        *_varied("aspect", known, per_task),
        ("three_objects", "three_objects", _three_objects(known, per_task)),
        ("position_attr", "position_attr", _position_attr(known, per_task)),
    ]
    return [
        replace(prompt, id=f"hard-{level}-{tag}-{k:04d}", tag=tag, level=level, split="hard", keys=())
        for tag, level, prompts in groups
        for k, prompt in enumerate(prompts[:per_task])
    ]


def _varied(level: str, known: Sequence[Prompt], per_task: int) -> Iterator[tuple[str, str, list[Prompt]]]:
    """The data set's own prompts of every task, in turn in one of the wordings or shapes of a level."""
    for tag in dict.fromkeys(prompt.tag for prompt in known):
        prompts = [prompt for prompt in known if prompt.tag == tag][:per_task]
        if level == "template":
            worded = [TEMPLATES[k % len(TEMPLATES)].format(_things(p)) for k, p in enumerate(prompts)]
            yield tag, level, [replace(p, text=text) for p, text in zip(prompts, worded, strict=True)]
        else:
            yield (
                tag,
                level,
                [replace(p, aspect_ratio=RATIOS[k % len(RATIOS)]) for k, p in enumerate(prompts)],
            )


def _counting(world: World) -> list[Prompt]:
    return [
        _prompt(
            f"{word} {shape}{'es' if shape.endswith('s') else 's'}",
            (Query(shape=shape, count=number),),
            exclude=(Query(shape=shape, count=number + 1),),
        )
        for number, word in COUNTS.items()
        for shape in world.shapes
    ]


def _three_objects(known: Sequence[Prompt], num: int) -> list[Prompt]:
    triples = [
        triple
        for triple in combinations(_pairs(known), 3)
        if all(len({pair[i] for pair in triple}) == 3 for i in (0, 1))
    ]
    return [
        _prompt(" and ".join(_noun(*pair) for pair in triple), tuple(_query(*pair) for pair in triple))
        for triple in _drawn(triples, num, "three_objects")
    ]


def _position_attr(known: Sequence[Prompt], num: int) -> list[Prompt]:
    colors: dict[str, list[str]] = {}
    for shape, color in _pairs(known):
        colors.setdefault(shape, []).append(color)
    relations = {
        (query.shape, query.relation, prompt.include[query.target].shape)
        for prompt in known
        for query in prompt.include
        if query.relation is not None and query.target is not None
    }
    choices = [
        ((subject, color), relation, (target, other))
        for subject, relation, target in sorted(relations)
        for color in colors.get(subject, ())
        for other in colors.get(target, ())
        if color != other
    ]
    return [
        _prompt(
            f"{_noun(*subject)} {relation} {_noun(*target)}",
            (_query(*target), replace(_query(*subject), relation=relation, target=0)),
        )
        for subject, relation, target in _drawn(choices, num, "position_attr")
    ]


def _pairs(known: Sequence[Prompt]) -> list[tuple[str, str]]:
    """Shapes and colours that belong together in prompts of the training distribution."""
    return sorted({(q.shape, q.color) for prompt in known for q in prompt.include if q.color is not None})


def _drawn(choices: Sequence[Any], num: int, seed: str) -> list[Any]:
    return random.Random(seed).sample(choices, min(num, len(choices)))


def _prompt(things: str, include: tuple[Query, ...], exclude: tuple[Query, ...] = ()) -> Prompt:
    return Prompt(id="", tag="", text=_TRAINED + things, include=include, exclude=exclude)


def _query(shape: str, color: str) -> Query:
    return Query(shape=shape, count=1, color=color)


def _noun(shape: str, color: str) -> str:
    return f"{'an' if color[0] in 'aeiou' else 'a'} {color} {shape}"


def _things(prompt: Prompt) -> str:
    return prompt.text.removeprefix(_TRAINED)
