"""Which columns of a table hold images and captions: as asked for, else by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Columns", "ColumnsAsked", "choose_columns", "is_url", "url_refusal"]

_IMAGES = ("image", "image_path", "img", "img_path", "file_name", "filename", "file_path", "filepath")
_IMAGES += ("file", "path", "jpg", "png", "webp")
_CAPTIONS = ("caption", "captions", "text", "prompt", "description", "txt")
_URLS = ("url", "image_url", "img_url", "urls")
_OFFICIAL = {"image_path", "long_caption"}
_OFFICIAL_CAPTIONS = {"long": "long_caption", "short": "text"}


@dataclass(frozen=True, kw_only=True)
class ColumnsAsked:
    """What a user says about a table's columns; the rest is guessed."""

    image: str | None = None
    captions: tuple[str, ...] = ()
    key: str | None = None
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns to read.

    Args:
        captions: (name of the caption, its column); the first that a row has is its main one.
        key: unique names of the samples; made from the image's name and the row's number if not given.
        split: names of the splits; divided by a hash if not given.
        is_official: whether it is the jsonl format of the official Infinity code.
    """

    image: str
    captions: tuple[tuple[str, str], ...]
    key: str | None = None
    split: str | None = None
    is_official: bool = False

    def as_dict(self) -> dict[str, Any]:
        named = {"image": self.image, "captions": dict(self.captions), "key": self.key, "split": self.split}
        return {what: names for what, names in named.items() if names}


def choose_columns(table: Path, names: Sequence[str], asked: ColumnsAsked) -> Columns:
    """The columns that were asked for, and guesses for those that were not."""
    listed = f"{table.name} has the columns {', '.join(names)}"
    for column in filter(None, (asked.image, *asked.captions, asked.key, asked.split)):
        if column not in names:
            raise ValueError(f"there is no column {column!r}: {listed}")
    is_official = set(names) >= _OFFICIAL and not asked.captions
    if is_official:
        captions = tuple(_OFFICIAL_CAPTIONS.items())  # the first rows may lack one
    else:
        captions = tuple((column, column) for column in asked.captions or _guess(names, _CAPTIONS))
    image = [asked.image] if asked.image else _guess(names, _IMAGES)
    if not image:
        if urls := _guess(names, _URLS):
            raise ValueError(url_refusal(table, urls[0], captions))
        raise ValueError(f"which column names the images? Say it with --image_column: {listed}")
    if not captions:
        raise ValueError(f"which column holds the captions? Say it with --caption: {listed}")
    return Columns(
        image=image[0], captions=captions, key=asked.key, split=asked.split, is_official=is_official
    )


def _guess(names: Sequence[str], usual: Sequence[str]) -> list[str]:
    """The column with the first of the usual names, in a list; empty if there is none."""
    return [name for word in usual for name in names if name.lower() == word][:1]


def is_url(value: object) -> bool:
    """Whether an image's name says that it has to be fetched."""
    return isinstance(value, str) and "://" in value[:10]


def url_refusal(table: Path, column: str, captions: Sequence[tuple[str, str]]) -> str:
    """How to get from a table of URLs to shards."""
    caption = captions[0][1] if captions else "CAPTION"
    return (
        f"the column {column} of {table.name} holds URLs, and nothing is fetched here; make shards with "
        f"`img2dataset --url_list {table} --url_col {column} --caption_col {caption} --output_format "
        f"webdataset --output_folder SHARDS`, then `python -m datamodules pack SHARDS OUT`"
    )
