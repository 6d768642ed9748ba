"""Find the rows of a user's tables and divide them into splits, without holding the tables in memory."""

from __future__ import annotations

import hashlib
import os
import re
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from datamodules.columns import Columns, ColumnsAsked, choose_columns, is_url, url_refusal
from datamodules.holdout import VAL_FRACTION, check_held_out, check_val_fraction, held_out
from datamodules.packing import DatasetParts
from datamodules.shards import clean_key
from datamodules.table_source import ROW, TableSource, is_missing
from datamodules.tables import Table, TableRow, open_table

__all__ = ["table_dataset"]

_SPLIT_NAMES = {"validation": "val", "valid": "val"}
_SPLIT_OF_FILE = re.compile(r"(train|validation|valid|val|test)[-_.]")  # as Hugging Face names its files
_MAX_SPLITS = 8
_EVERY = 2**14  # rows between two reports of progress


class _Splits:
    """Rows by split, one number each for table, place and number.

    Args:
        of_tables: the split of every table, if their files' names tell it.
        val_fraction: of rows whose split neither their table nor a column tells.
    """

    def __init__(self, columns: Columns, of_tables: Sequence[str], val_fraction: float) -> None:
        self.columns = columns
        self.of_tables = of_tables
        self.val_fraction = val_fraction
        self.rows: dict[str, array[int]] = {}
        self.unassigned = array("q")  # rows without a split
        self.keys = array("q")  # hashes

    def add(self, table: Table, number_of_table: int, number: int, row: TableRow) -> None:
        values = row.values or {}
        image = values.get(self.columns.image)
        if number <= _EVERY and is_url(image):
            raise ValueError(url_refusal(table.path, self.columns.image, self.columns.captions))
        if self.of_tables:
            split = self.of_tables[number_of_table]
        elif self.columns.split:
            value = values.get(self.columns.split)
            split = "" if is_missing(value) else self._split(table, number, value)
        elif row.values is None:  # it is left out, and named, when it is packed
            split = "train"
        else:
            name = image.get("path") if isinstance(image, dict) else image
            name = str(name or f"{table.path.name} {number}").encode(errors="replace").decode()
            split = "val" if held_out(name, self.val_fraction) else "train"
        rows = self.rows.setdefault(split, array("q")) if split else self.unassigned
        rows.extend((number_of_table, row.place, number))
        if self.columns.key and not is_missing(key := values.get(self.columns.key)):
            digest = hashlib.sha256(clean_key(key).encode()).digest()
            self.keys.append(int.from_bytes(digest[:8], signed=True))

    def _split(self, table: Table, number: int, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"[\w-]+", value):
            raise ValueError(
                f"row {number} of {table.path.name} has {value!r} in the column {self.columns.split}, but a "
                f"split's name is made of letters, digits, - and _"
            )
        split = _SPLIT_NAMES.get(value, value)
        if len(self.rows) == _MAX_SPLITS and split not in self.rows:
            raise ValueError(
                f"the column {self.columns.split} of {table.path.name} has more than {_MAX_SPLITS} different "
                f"values; is it the column of the splits?"
            )
        return split

    def end(self) -> None:
        """Give rows without a split to the first one: they are left out, and named, when it is packed."""
        if self.unassigned:
            self.rows.setdefault(next(iter(self.rows), "train"), array("q")).extend(self.unassigned)

    def check_keys(self) -> None:
        """Refuse keys that occur twice."""
        repeated = len(self.keys) - len(np.unique(np.asarray(self.keys)))
        if repeated:
            raise ValueError(
                f"the column {self.columns.key} repeats {repeated} of its {len(self.keys)} values, but keys "
                f"must be unique; choose another one, or none"
            )


def table_dataset(
    paths: Sequence[Path],
    asked: ColumnsAsked,
    *,
    images: Path | None = None,
    val_fraction: float | None = None,
    max_side: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> DatasetParts:
    """The rows of one or several tables of the same columns.

    Args:
        images: folder of the images; the first table's own if not given.
        val_fraction: share of `val`, by a hash of the image's name (default: 0.02), if neither a column nor
            the names of the files (``train-00000-of-00002.parquet``) tell the splits.
    """
    tables = tuple(open_table(path) for path in paths)
    columns = choose_columns(tables[0].path, tables[0].columns, asked)
    of_tables = [] if columns.split else _splits_of_files(paths)
    is_divided = not columns.split and not of_tables
    if val_fraction is not None and not is_divided:
        told = f"the column {columns.split}" if columns.split else f"names as {paths[0].name}"
        raise ValueError(f"{told} and val_fraction both say how to divide; give one of them")
    val_fraction = VAL_FRACTION if val_fraction is None else val_fraction
    check_val_fraction(val_fraction)
    splits = _Splits(columns, of_tables, val_fraction)
    wanted = [name for name in (columns.image, columns.key, columns.split) if name]
    total = sum(table.end for table in tables)
    listing = hashlib.sha256()
    for number_of_table, table in enumerate(tables):
        if missing := set(wanted) - set(table.columns):
            raise ValueError(f"{table.path} lacks the columns {sorted(missing)} of {tables[0].path.name}")
        reported = 0
        for number, row in enumerate(table.rows(wanted), 1):
            splits.add(table, number_of_table, number, row)
            if number % _EVERY == 0:
                progress("read tables", row.place - reported, total)
                reported = row.place
        progress("read tables", table.end - reported, total)
        facts = table.path.stat()
        listing.update(os.fsencode(f"{table.path.name}|{facts.st_size}|{facts.st_mtime_ns}\n"))
    splits.end()
    what = f"rows of {', '.join(path.name for path in paths[:3])}"
    if not splits.rows:
        raise ValueError(f"there are no {what}")
    splits.check_keys()
    rows = {split: np.asarray(numbers).reshape(-1, 3) for split, numbers in sorted(splits.rows.items())}
    if is_divided:
        check_held_out({split: len(places) for split, places in rows.items()}, val_fraction, what)
    folder = images or paths[0].parent
    description = {
        "name": paths[0].stem if len(paths) == 1 else paths[0].parent.resolve().name,
        "kind": "official jsonl" if columns.is_official else "table",
        "columns": columns.as_dict(),
        "files": listing.hexdigest()[:16],
    }
    if is_divided:
        description["val_fraction"] = val_fraction
    if images is not None:
        description["images"] = Path(os.path.relpath(images, paths[0].parent)).as_posix()
    if max_side is not None:
        description["max_side"] = max_side
    sources = {
        split: TableSource(tables, columns, folder, _structured(places), max_side)
        for split, places in rows.items()
    }
    return DatasetParts(description, sources, {})


def _splits_of_files(paths: Sequence[Path]) -> list[str]:
    """The split of every file if all names begin with one and there are several; else none."""
    found = [match[1] for path in paths if (match := _SPLIT_OF_FILE.match(path.name))]
    if len(found) < len(paths) or len(set(found)) == 1:
        return []
    return [_SPLIT_NAMES.get(name, name) for name in found]


def _structured(rows: np.ndarray) -> np.ndarray:
    structured = np.empty(len(rows), ROW)
    for column, name in enumerate(ROW.names or ()):
        structured[name] = rows[:, column]
    return structured
