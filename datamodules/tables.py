"""Tables on disk, CSV, TSV, JSON lines or Parquet, read row by row at known places.

A place is what finds a row again: the byte where it begins, in Parquet its number. A table of any length is
thus held in memory as few numbers per row, and every process reads the rows of its own jobs.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from datamodules.decode import BrokenSampleError

__all__ = ["TABLE_SUFFIXES", "Table", "TableRow", "open_table"]

TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_MAX_LINE = 2**24
_NUM_TYPICAL = 100  # rows of a JSON lines file whose fields are its columns
_NOT_UTF8 = "not UTF-8; convert the table, e.g. with `iconv -f WINDOWS-1252 -t UTF-8`"


class TableRow(NamedTuple):
    place: int
    values: dict[str, Any] | None  # the columns asked for; None if the row is unreadable


class Table(Protocol):
    """A file of rows; small when pickled."""

    @property
    def path(self) -> Path: ...

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def end(self) -> int:
        """An upper bound of the places."""
        ...

    def rows(self, names: Sequence[str]) -> Iterator[TableRow]:
        """All rows in their order; images that Parquet holds are not among the values."""
        ...

    def row(self, place: int) -> dict[str, Any]:
        """A whole row; raises BrokenSampleError."""
        ...


def open_table(path: Path) -> Table:
    """The table in a file, by the file's suffix."""
    match path.suffix.lower():
        case ".csv":
            return _Delimited(path, ",")
        case ".tsv":
            return _Delimited(path, "\t")
        case ".jsonl" | ".ndjson":
            return _JsonLines(path)
        case ".parquet":
            from datamodules.parquet_table import ParquetTable  # which needs pyarrow

            return ParquetTable(path)
    raise ValueError(f"{path} is no table; expected one of {', '.join(TABLE_SUFFIXES)}")


class _Lines:
    """The lines of a file from a place on; `place` is where the next one begins.

    Bytes that are no UTF-8 become half surrogate pairs, which `_is_utf8` finds.
    """

    def __init__(self, path: Path, file: IO[bytes], place: int = 0) -> None:
        file.seek(place)
        self.path, self.file, self.place = path, file, place

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.file.readline(_MAX_LINE)
        if not line:
            raise StopIteration
        if len(line) == _MAX_LINE:
            raise ValueError(f"{self.path} has a line of more than {_MAX_LINE} bytes; is it a table of text?")
        encoding = "utf-8" if self.place else "utf-8-sig"
        self.place += len(line)
        return line.decode(encoding, errors="surrogateescape")


@dataclass(frozen=True)
class _Delimited:
    path: Path
    delimiter: str

    @property
    def end(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def columns(self) -> tuple[str, ...]:
        with self.path.open("rb") as file:
            try:
                names = next(self._reader(_Lines(self.path, file)), [])
            except csv.Error as error:
                raise ValueError(f"the first line of {self.path} can't be read ({error})") from error
        if not _is_utf8(names):
            raise ValueError(f"the first line of {self.path} is {_NOT_UTF8}")
        if not names or len(set(names)) != len(names):
            raise ValueError(f"the first line of {self.path} must name its columns, each once, got {names}")
        return tuple(names)

    def rows(self, names: Sequence[str]) -> Iterator[TableRow]:
        with self.path.open("rb") as file:
            lines = _Lines(self.path, file)
            reader = self._reader(lines)
            next(reader)
            while True:
                place = lines.place
                try:
                    values = self._named(next(reader))
                except StopIteration:
                    return
                except (csv.Error, BrokenSampleError):
                    yield TableRow(place, None)
                    continue
                if values:
                    yield TableRow(place, {name: values[name] for name in names})

    def row(self, place: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            try:
                return self._named(next(self._reader(_Lines(self.path, file, place)), []))
            except csv.Error as error:
                raise BrokenSampleError(f"unreadable row ({error})") from error

    def _reader(self, lines: _Lines) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.delimiter)

    def _named(self, values: list[str]) -> dict[str, str]:
        if values and len(values) != len(self.columns):
            raise BrokenSampleError(f"{len(values)} values where the table has {len(self.columns)} columns")
        if not _is_utf8(values):
            raise BrokenSampleError(_NOT_UTF8)
        return dict(zip(self.columns, values, strict=False))


@dataclass(frozen=True)
class _JsonLines:
    path: Path

    @property
    def end(self) -> int:
        return self.path.stat().st_size

    @cached_property
    def columns(self) -> tuple[str, ...]:
        names: dict[str, None] = {}
        with self.path.open("rb") as file:
            for line in islice(_Lines(self.path, file), _NUM_TYPICAL):
                names |= dict.fromkeys(_json_object(line) or ())
        if not names:
            raise ValueError(f"no JSON object in the first {_NUM_TYPICAL} lines of {self.path}")
        return tuple(names)

    def rows(self, names: Sequence[str]) -> Iterator[TableRow]:
        with self.path.open("rb") as file:
            lines, place = _Lines(self.path, file), 0
            for line in lines:
                if line.strip():
                    values = _json_object(line)
                    yield TableRow(place, values and {name: values.get(name) for name in names})
                place = lines.place

    def row(self, place: int) -> dict[str, Any]:
        with self.path.open("rb") as file:
            line = next(_Lines(self.path, file, place), "")
        if (values := _json_object(line)) is None:
            raise BrokenSampleError("unreadable row (no JSON object)" if _is_utf8([line]) else _NOT_UTF8)
        return values


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line) if _is_utf8([line]) else None
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def _is_utf8(texts: Sequence[str]) -> bool:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True
