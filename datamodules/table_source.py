"""A user's own table of images and captions, as a source to pack."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.captions import caption_of
from datamodules.columns import Columns
from datamodules.decode import BrokenSampleError
from datamodules.shards import Sample, clean_key
from datamodules.stored_image import StoredImage, read_image, stored_image
from datamodules.tables import Table

__all__ = ["ROW", "TableSource", "is_missing"]

ROW = np.dtype([("table", "<i4"), ("place", "<i8"), ("number", "<i8")])


@dataclass(frozen=True)
class TableSource:
    """The rows of a split.

    Args:
        images: folder that relative names of images are below.
        rows: where they are, of type `ROW`.
    """

    tables: tuple[Table, ...]
    columns: Columns
    images: Path
    rows: np.ndarray
    max_side: int | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        number_of_table, place, number = self.rows[index].item()
        table = self.tables[number_of_table]
        try:
            row = table.row(place)
            if self.columns.split and is_missing(row.get(self.columns.split)):
                raise BrokenSampleError(f"no split in the column {self.columns.split}")
            name, image = self._image(row.get(self.columns.image))
            captions = self._captions(row)
            key = self._key(row, name, number_of_table, number)
        except (OSError, ValueError, RecursionError) as error:
            raise BrokenSampleError(f"{table.path.name} row {number}: {error}") from error
        caption = next(iter(captions.values()))[0]
        record = self._record(row, captions)
        return Sample(key, image.data, image.extension, caption, image.width, image.height, record)

    def part(self, start: int, stop: int) -> TableSource:
        return replace(self, rows=self.rows[start:stop])

    def _image(self, value: Any) -> tuple[str, StoredImage]:
        """Name and contents of an image, given as a path, as bytes, or as a struct of both."""
        name, data = value, None
        if isinstance(value, dict):
            name, data = value.get("path"), value.get("bytes")
        elif isinstance(value, bytes):
            name, data = "image", value
        has_bytes = isinstance(data, bytes) and bool(data)
        if not has_bytes and (not isinstance(name, str) or not name):
            raise BrokenSampleError(f"no image in the column {self.columns.image}")
        name = str(name or "image")
        try:
            return name, stored_image(data if has_bytes else read_image(self.images / name), self.max_side)
        except BrokenSampleError as error:
            raise BrokenSampleError(f"{name}: {error}") from error

    def _captions(self, row: dict[str, Any]) -> dict[str, list[str]]:
        """The captions that the row has, by name, each with one or more texts."""
        found: dict[str, list[str]] = {}
        for name, column in self.columns.captions:
            value = row.get(column)
            for text in value if isinstance(value, list) else [value]:
                if clean := _cleaned(text):
                    found.setdefault(name, []).append(clean)
        if not found:
            columns = ", ".join(column for _, column in self.columns.captions)
            raise BrokenSampleError(f"no caption in {columns}")
        return found

    def _record(self, row: dict[str, Any], captions: dict[str, list[str]]) -> dict[str, Any]:
        """What a row says beside its image's bytes, as JSON can hold it; missing values are left out."""
        elsewhere = {column for _, column in self.columns.captions}
        if not isinstance(row.get(self.columns.image), str):
            elsewhere.add(self.columns.image)
        values = {
            name: value for name, value in row.items() if name not in elsewhere and not is_missing(value)
        }
        if len(self.columns.captions) > 1 or sum(map(len, captions.values())) > 1:
            values["captions"] = {
                name: texts if len(texts) > 1 else texts[0] for name, texts in captions.items()
            }
        return json.loads(json.dumps(values, default=_told))

    def _key(self, row: dict[str, Any], image: str, table: int, number: int) -> str:
        if self.columns.key is None:
            place = f"{table}-{number}" if len(self.tables) > 1 else f"{number}"
            return f"{clean_key(Path(image).stem)[-60:]}-{place}"
        value = row.get(self.columns.key)
        if is_missing(value):
            raise BrokenSampleError(f"no key in the column {self.columns.key}")
        return clean_key(value)


def _cleaned(caption: object) -> str:
    """Without control characters; empty if there is none."""
    try:
        return caption_of(caption.encode(errors="replace"), None) if isinstance(caption, str) else ""
    except BrokenSampleError:
        return ""


def is_missing(value: object) -> bool:
    """Whether a cell is empty; pandas writes NaN."""
    return value is None or value == "" or value != value


def _told(value: object) -> str | None:
    """What JSON can't hold: dates and numbers as words; bytes are left out."""
    return None if isinstance(value, bytes) else str(value)
