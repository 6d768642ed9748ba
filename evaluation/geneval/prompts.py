"""GenEval's 553 prompts, drawn anew from its seed: the file itself need not be shipped.

The draws follow the published generator (NumPy's ``default_rng(43)``, 80 single objects and 100 draws of each
other task, repeats dropped), so the lines equal the published file's byte by byte, as their hash shows.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from evaluation.geneval.vocabulary import CLASSES, COLORS, RELATIONS
from evaluation.tasks.api import EvalContext, EvalPrompt

__all__ = ["METADATA_SHA256", "geneval_metadata", "geneval_prompts", "metadata_lines"]

METADATA_SHA256 = "5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13"
"""Of the published ``evaluation_metadata.jsonl`` (djghosh13/geneval, commit af4902f)."""

IMAGES_PER_PROMPT = 4
_DRAWS = 100  # of every task but the first
_NUMBERS = ("zero", "one", "two", "three", "four")

Metadata = dict[str, Any]


def geneval_prompts(context: EvalContext) -> list[EvalPrompt]:
    """The prompt set ``geneval``: four images of every prompt, unless the context says otherwise."""
    num_images = context.images_per_prompt or IMAGES_PER_PROMPT
    return [
        EvalPrompt(id=f"{number:05d}", text=line["prompt"], num_images=num_images, metadata=line)
        for number, line in enumerate(geneval_metadata()[: context.limit])
    ]


def geneval_metadata() -> list[Metadata]:
    """All prompts with what has to be seen (``tag``, ``include``, ``exclude``), in the published order."""
    rng = np.random.default_rng(43)
    drawn = [_single(number) for number in rng.choice(len(CLASSES), size=len(CLASSES), replace=False)]
    for draw in (_two, _counting, _colors, _position, _color_attr):
        drawn += [draw(rng) for _ in range(_DRAWS)]
    unique = list({json.dumps(line): line for line in drawn}.values())
    if (digest := hashlib.sha256(metadata_lines(unique)).hexdigest()) != METADATA_SHA256:
        raise ValueError(
            f"the prompts drawn have the hash {digest[:8]}, GenEval's have {METADATA_SHA256[:8]}: this NumPy "
            "draws other numbers from a seed; use the version of constraints.txt"
        )
    return unique


def metadata_lines(metadata: list[Metadata]) -> bytes:
    """As the published file has them: one JSON object a line."""
    return "".join(json.dumps(line) + "\n" for line in metadata).encode()


def _single(number: int) -> Metadata:
    name = CLASSES[number]
    return _line("single_object", [{"class": name, "count": 1}], f"a photo of {_a(name)}")


def _two(rng: np.random.Generator) -> Metadata:
    first, second = (CLASSES[number] for number in rng.choice(len(CLASSES), size=2, replace=False))
    include = [{"class": first, "count": 1}, {"class": second, "count": 1}]
    return _line("two_object", include, f"a photo of {_a(first)} and {_a(second)}")


def _counting(rng: np.random.Generator) -> Metadata:
    name = CLASSES[rng.choice(len(CLASSES))]
    count = int(rng.integers(2, 5))
    plural = name + ("es" if name.endswith("s") else "s")
    return {
        "tag": "counting",
        "include": [{"class": name, "count": count}],
        "exclude": [{"class": name, "count": count + 1}],
        "prompt": f"a photo of {_NUMBERS[count]} {plural}",
    }


def _colors(rng: np.random.Generator) -> Metadata:
    name = _no_person(rng.choice(len(CLASSES) - 1))
    color = COLORS[rng.choice(len(COLORS))]
    return _line("colors", [{"class": name, "count": 1, "color": color}], f"a photo of {_a(color)} {name}")


def _position(rng: np.random.Generator) -> Metadata:
    name, target = (CLASSES[number] for number in rng.choice(len(CLASSES), size=2, replace=False))
    relation = RELATIONS[rng.choice(len(RELATIONS))]
    include = [{"class": target, "count": 1}, {"class": name, "count": 1, "position": [relation, 0]}]
    return _line("position", include, f"a photo of {_a(name)} {relation} {_a(target)}")


def _color_attr(rng: np.random.Generator) -> Metadata:
    names = [_no_person(number) for number in rng.choice(len(CLASSES) - 1, size=2, replace=False)]
    colors = [COLORS[number] for number in rng.choice(len(COLORS), size=2, replace=False)]
    pairs = list(zip(names, colors, strict=True))
    include = [{"class": name, "count": 1, "color": color} for name, color in pairs]
    return _line("color_attr", include, "a photo of " + " and ".join(f"{_a(c)} {name}" for name, c in pairs))


def _line(tag: str, include: list[Metadata], prompt: str) -> Metadata:
    return {"tag": tag, "include": include, "prompt": prompt}


def _no_person(number: int) -> str:
    """Classes but the first, a person, who gets no colour."""
    return CLASSES[number + 1]


def _a(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
