"""What ShapesEval knows about a world: its vocabulary and its prompts, read from the data directory alone.

``world.json`` names shapes (unit outlines) and colours; ``prompts.jsonl`` holds one prompt a
line in GenEval's metadata schema. Nothing of the renderer is imported: any program that writes these files
makes a benchmark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infinity.json_files import parse_json_lines, read_json

__all__ = ["Outline", "Prompt", "Query", "World", "load_prompts", "parse_prompts"]

Outline = tuple[np.ndarray, ...]
"""Closed polygons, float (num_points, 2) of (x right, y down) in the object's radius, filled even-odd."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Vocabulary of a world of flat shapes on a plain background.

    Args:
        shapes: outline by name.
        colors: sRGB anchor (0..255) by name.
    """

    tier: str
    size: int
    shapes: Mapping[str, Outline]
    colors: Mapping[str, tuple[int, int, int]]

    def __post_init__(self) -> None:
        if not self.shapes or not self.colors:
            raise ValueError(
                f"a world needs shapes and colors, got {len(self.shapes)} and {len(self.colors)}"
            )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> World:
        """Build from the parsed ``world.json``."""
        missing = sorted({"tier", "size", "shapes", "colors"} - set(fields))
        if missing:
            raise ValueError(
                f"world.json lacks {', '.join(missing)}; write it again with `python -m datamodules`"
            )
        return cls(
            tier=fields["tier"],
            size=fields["size"],
            shapes={
                name: tuple(np.asarray(polygon, float) for polygon in outline)
                for name, outline in fields["shapes"].items()
            },
            colors={name: tuple(rgb) for name, rgb in fields["colors"].items()},
        )

    @classmethod
    def load(cls, root: str | Path) -> World:
        """Read ``ROOT/world.json``."""
        path = Path(root) / "world.json"
        if not path.is_file():
            raise ValueError(
                f"no world.json in {root}; make a ShapesWorld data set there first (`make data`)"
            )
        return cls.from_dict(read_json(path))


@dataclass(frozen=True, kw_only=True)
class Query:
    """One entry of ``include`` or ``exclude``: so many objects of a class, perhaps coloured and placed."""

    shape: str
    count: int = 1
    color: str | None = None
    relation: str | None = None  # "left of", "right of", "above", "below"
    target: int | None = None  # index (in `include`) of the group that the relation refers to

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Query:
        relation, target = fields.get("position") or (None, None)
        return cls(
            shape=fields["class"],
            count=fields["count"],
            color=fields.get("color"),
            relation=relation,
            target=target,
        )

    def to_dict(self) -> dict[str, Any]:
        fields: dict[str, Any] = {"class": self.shape, "count": self.count}
        if self.color is not None:
            fields["color"] = self.color
        if self.relation is not None:
            fields["position"] = [self.relation, self.target]
        return fields


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One line of ``prompts.jsonl``."""

    id: str
    tag: str
    text: str
    include: tuple[Query, ...]
    exclude: tuple[Query, ...] = ()
    split: str = "id"  # "id": of the training distribution; "ood": held out
    level: str = "id"  # what is held out about it
    keys: tuple[str, ...] = ()  # ground-truth renders in the eval shards
    aspect_ratio: float = 1.0  # height / width

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Prompt:
        keys = fields.get("keys") or ([fields["key"]] if "key" in fields else [])
        return cls(
            id=str(fields["id"]),
            tag=fields["tag"],
            text=fields["prompt"],
            include=tuple(Query.from_dict(query) for query in fields["include"]),
            exclude=tuple(Query.from_dict(query) for query in fields.get("exclude", [])),
            split=fields.get("split", "id"),
            level=fields.get("level", fields.get("split", "id")),
            keys=tuple(keys),
            aspect_ratio=fields.get("aspect_ratio", 1.0),
        )

    def to_dict(self) -> dict[str, Any]:
        """The line again: GenEval's metadata, and what belongs to this benchmark."""
        fields: dict[str, Any] = {
            "id": self.id,
            "tag": self.tag,
            "include": [query.to_dict() for query in self.include],
            "prompt": self.text,
            "split": self.split,
            "level": self.level,
            "aspect_ratio": self.aspect_ratio,
        }
        if self.exclude:
            fields["exclude"] = [query.to_dict() for query in self.exclude]
        if self.keys:
            fields |= {"key": self.keys[0], "keys": list(self.keys)}
        return fields


def load_prompts(root: str | Path) -> list[Prompt]:
    """Read ``ROOT/prompts.jsonl``, in file order."""
    path = Path(root) / "prompts.jsonl"
    if not path.is_file():
        raise ValueError(f"no prompts.jsonl in {root}; make a ShapesWorld data set there first (`make data`)")
    return parse_prompts(path.read_text(encoding="utf-8"), str(path))


def parse_prompts(text: str, name: str = "prompts.jsonl") -> list[Prompt]:
    """Parse the lines of a ``prompts.jsonl``; `name` is the file for errors."""
    try:
        prompts = [Prompt.from_dict(fields) for fields in parse_json_lines(text, name)]
    except KeyError as error:
        raise ValueError(f"a prompt of {name} lacks {error}; make the data set again") from error
    if len({prompt.id for prompt in prompts}) != len(prompts):
        raise ValueError(f"{name} must not use an id twice; make the data set again")
    return prompts
