"""Prompts: their wording, GenEval metadata and enumeration.

::

    PROMPT = "a picture of " ( NP | NUMBER PLURAL | NP " and " NP | NP " " RELATION " " NP )
    NP     = ( "a " | "an " ) [ COLOR " " ] SHAPE
"""

from __future__ import annotations

from functools import cache
from itertools import permutations, product
from typing import Any, Literal, NamedTuple, get_args

from datamodules.shapesworld.vocabulary import RELATIONS, World

__all__ = ["TASKS", "Noun", "Prompt", "Task", "prompts_of"]

Task = Literal["single_object", "two_object", "counting", "colors", "position", "color_attr"]
TASKS: tuple[Task, ...] = get_args(Task)

_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six")


class Noun(NamedTuple):
    """So many objects of one shape; `color` is None where the prompt doesn't say."""

    shape: str
    color: str | None = None
    number: int = 1

    def __str__(self) -> str:
        if self.number > 1:
            return f"{_NUMBERS[self.number]} {self.shape}{'es' if self.shape.endswith('s') else 's'}"
        words = f"{self.color} {self.shape}" if self.color else self.shape
        return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


class Prompt(NamedTuple):
    """What a picture must show; in `position`, the first noun stands in `relation` to the second."""

    tag: Task
    nouns: tuple[Noun, ...]
    relation: str | None = None

    @property
    def text(self) -> str:
        return "a picture of " + (f" {self.relation} " if self.relation else " and ").join(
            map(str, self.nouns)
        )

    def metadata(self) -> dict[str, Any]:
        """The prompt in GenEval's schema; a position clause comes last and points to the noun before it."""
        include: list[dict[str, Any]] = []
        for noun in reversed(self.nouns) if self.relation else self.nouns:
            clause: dict[str, Any] = {"class": noun.shape, "count": noun.number}
            if noun.color:
                clause["color"] = noun.color
            include.append(clause)
        if self.relation:
            include[-1]["position"] = [self.relation, 0]
        metadata: dict[str, Any] = {"tag": self.tag, "include": include, "prompt": self.text}
        if self.tag == "counting":
            metadata["exclude"] = [{"class": self.nouns[0].shape, "count": self.nouns[0].number + 1}]
        return metadata


@cache
def prompts_of(world: World, task: Task) -> tuple[Prompt, ...]:
    """Every prompt of a task, in a fixed order, held-out ones included."""
    ordered_pairs = list(permutations(world.shapes, 2))
    match task:
        case "single_object":
            return tuple(Prompt(task, (Noun(shape),)) for shape in world.shapes)
        case "two_object":
            return tuple(Prompt(task, (Noun(a), Noun(b))) for a, b in ordered_pairs)
        case "counting":
            counts = [*range(2, world.max_count + 1), *world.held_out_counts]
            return tuple(Prompt(task, (Noun(shape, number=n),)) for shape, n in product(world.shapes, counts))
        case "colors":
            return tuple(
                Prompt(task, (Noun(shape, color),)) for shape, color in product(world.shapes, world.colors)
            )
        case "position":
            return tuple(
                Prompt(task, (Noun(a), Noun(b)), relation)
                for (a, b), relation in product(ordered_pairs, RELATIONS)
            )
        case "color_attr":
            color_pairs = permutations(world.colors, 2)
            return tuple(
                Prompt(task, (Noun(a, c), Noun(b, d)))
                for (a, b), (c, d) in product(ordered_pairs, color_pairs)
            )
