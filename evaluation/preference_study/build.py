"""Make the page of a study: images side by side in random order, under names that say nothing.

Left and right, and the order of pairs, follow from the seed. Which side is whose is written to ``key.json``,
which stays with whoever runs the study; raters get the folder ``page``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from evaluation.image_folders import read_image, write_image
from evaluation.preference_study.drawings import Drawing, Place, read_drawings
from evaluation.provenance import sha256_of_pixels
from infinity.atomic import write_atomically
from infinity.json_files import read_json

__all__ = ["KEY", "StudyOptions", "build_study"]

KEY = "key.json"
_NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """What raters see.

    Args:
        limit: only so many pairs, drawn at random; all if not given.
        prompt_set: of the runs, if they have several.
    """

    names: tuple[str, str]
    title: str = "Which image is better?"
    question: str = "Which image shows what the prompt asks for, and looks better?"
    limit: int | None = None
    prompt_set: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.names[0] == self.names[1]:
            raise ValueError(f"both runs are called {self.names[0]!r}; tell them apart with --names A B")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"--limit must be at least 1, got {self.limit}")


def build_study(first: Path, second: Path, output: Path, options: StudyOptions) -> Path:
    """Write ``page/`` and ``key.json``; the path of the page is returned."""
    runs = tuple(read_drawings(run, options.prompt_set) for run in (first, second))
    places = _shared_places(*runs, options.names)
    rng = random.Random(options.seed)
    rng.shuffle(places)
    places = places[: options.limit]
    turned = [number % 2 == 1 for number in range(len(places))]  # as many of either, so neither side gains
    rng.shuffle(turned)
    width = len(str(len(places)))
    pairs, images = [], {}
    for number, (place, is_turned) in enumerate(zip(places, turned, strict=True), start=1):
        pair: dict[str, Any] = {
            "id": f"{number:0{width}d}",
            "prompt": runs[0][place].prompt,
            **place._asdict(),
        }
        for side, run in (("left", is_turned), ("right", not is_turned)):
            path = runs[run][place].path
            images[f"{pair['id']}-{side}.png"] = path
            pair[side] = {"name": options.names[run], "sha256": sha256_of_pixels(read_image(path))}
        pairs.append(pair)
    study = sha256(json.dumps([options.title, options.question, pairs]).encode()).hexdigest()[:12]
    key = {
        "schema_version": 1,
        "study": study,
        "names": options.names,
        "title": options.title,
        "question": options.question,
        "seed": options.seed,
        "pairs": pairs,
    }
    _refuse_other_study(output / KEY, study)
    page = output / "page" / "index.html"
    for name, path in images.items():  # written anew: the texts in a drawn file name its model
        write_image(page.parent / "images" / name, read_image(path))
    write_atomically(page, _render(study, options, pairs))
    write_atomically(output / KEY, json.dumps(key, indent=1) + "\n")
    return page


def _shared_places(
    first: Mapping[Place, Drawing], second: Mapping[Place, Drawing], names: tuple[str, str]
) -> list[Place]:
    lone = [place for place in [*first, *second] if place not in first or place not in second]
    if lone:
        named = ", ".join(f"image {place.index} of {place.prompt_id}" for place in lone[:_NUM_NAMED])
        raise ValueError(
            f"{len(lone)} images are in one of {' and '.join(names)} alone, e.g. {named}; draw both runs "
            "from the same prompts, as many images of each"
        )
    if other := [place for place in first if first[place].prompt != second[place].prompt]:
        a, b = first[other[0]].prompt, second[other[0]].prompt
        raise ValueError(
            f"{len(other)} prompts differ, e.g. {other[0].prompt_id}: {a!r} and {b!r}; draw both runs from "
            "the same prompts"
        )
    return sorted(first)


def _refuse_other_study(path: Path, study: str) -> None:
    if path.is_file() and (other := read_json(path).get("study")) != study:
        raise ValueError(f"{path.parent} holds another study ({other}); choose another --output")


def _render(study: str, options: StudyOptions, pairs: list[dict[str, Any]]) -> str:
    environment = Environment(
        loader=PackageLoader("evaluation.preference_study"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = [{"id": pair["id"], "prompt": pair["prompt"]} for pair in pairs]
    return environment.get_template("page.html.j2").render(
        title=options.title, question=options.question, study={"study": study, "pairs": shown}
    )
