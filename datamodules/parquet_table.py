"""Parquet tables, with images as paths, bytes, or Hugging Face's structs of both."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from datamodules.decode import BrokenSampleError
from datamodules.tables import TableRow

__all__ = ["ParquetTable"]

_BATCH = 2**12


@dataclass(frozen=True)
class ParquetTable:
    """A row's group is decoded whole when the row is read, and kept for the next ones."""

    path: Path

    @property
    def end(self) -> int:
        return self._ends[-1]

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return tuple(_parquet_file(self.path).schema_arrow.names)

    @cached_property
    def _ends(self) -> tuple[int, ...]:
        facts = _parquet_file(self.path).metadata
        return tuple(
            accumulate((facts.row_group(k).num_rows for k in range(facts.num_row_groups)), initial=0)
        )

    def rows(self, names: Sequence[str]) -> Iterator[TableRow]:
        file = _parquet_file(self.path)
        leaves = [leaf for name in names for leaf in _light_leaves(file.schema_arrow.field(name))]
        if not leaves:
            yield from (TableRow(number, {}) for number in range(self.end))
            return
        number = 0
        try:
            for batch in file.iter_batches(_BATCH, columns=leaves):
                for values in batch.to_pylist():
                    yield TableRow(number, values)
                    number += 1
        except (OSError, ValueError) as error:
            raise _unreadable(self.path, error) from error

    def row(self, place: int) -> dict[str, Any]:
        group = bisect_right(self._ends, place) - 1
        try:
            return _row_group(self.path, group).slice(place - self._ends[group], 1).to_pylist()[0]
        except (OSError, ValueError) as error:
            raise BrokenSampleError(f"unreadable row group {group} ({type(error).__name__})") from error


def _light_leaves(field: Any) -> list[str]:
    """What to read of a column to know its rows: of images in structs with bytes and path, the path."""
    import pyarrow.types as types

    if types.is_struct(field.type):
        names = [field.type.field(k).name for k in range(field.type.num_fields)]
        return [f"{field.name}.path"] if "path" in names else []
    if types.is_binary(field.type) or types.is_large_binary(field.type):
        return []
    return [field.name]


@lru_cache(maxsize=2)
def _parquet_file(path: Path) -> Any:
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


@lru_cache(maxsize=1)
def _row_group(path: Path, group: int) -> Any:
    return _parquet_file(path).read_row_group(group)


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path} is no readable Parquet file ({' '.join(str(error).split())})")
