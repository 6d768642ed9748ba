"""The columns of an index on disk."""

from __future__ import annotations

import os
import zlib
from functools import cached_property
from pathlib import Path

import numpy as np

from datamodules.scanning import ROW

__all__ = ["COLUMNS", "Column", "column_name"]

COLUMNS: dict[str, np.dtype] = {
    "rows": ROW,
    "keys": np.dtype("u1"),
    "widths": np.dtype("<u4"),
    "heights": np.dtype("<u4"),
    "left_out": np.dtype("u1"),
}

_CHUNK = 2**22


def column_name(fingerprint: str, column: str) -> str:
    return f"index-{fingerprint}.{column}"


class Column:
    """A file of numbers: mapped into memory as a whole, or read in pieces, which leave memory as it is.

    Args:
        num_bytes: that it must have; there is no file for 0 of them.
        crc32: that it should have.
    """

    def __init__(self, path: Path, dtype: np.dtype, num_bytes: int, crc32: int) -> None:
        self.path = path
        self.dtype = dtype
        self.num_bytes = num_bytes
        self.crc32 = crc32
        self._file = path.open("rb", buffering=0) if num_bytes else None
        found = os.fstat(self._file.fileno()).st_size if self._file else 0
        if found != num_bytes:
            raise ValueError(f"{path.name} has {found} bytes, expected {num_bytes}")

    def __len__(self) -> int:
        return self.num_bytes // self.dtype.itemsize

    @cached_property
    def array(self) -> np.ndarray:
        """The whole column, memory-mapped."""
        return np.memmap(self.path, self.dtype, mode="r") if self.num_bytes else np.empty(0, self.dtype)

    def piece(self, start: int, stop: int) -> np.ndarray:
        """Some numbers, read where they are."""
        if self._file is None or start == stop:
            return np.empty(0, self.dtype)
        size = self.dtype.itemsize
        return np.frombuffer(os.pread(self._file.fileno(), (stop - start) * size, start * size), self.dtype)

    def is_sound(self) -> bool:
        """Whether it has its checksum; reads all of it."""
        crc32 = 0
        for start in range(0, len(self), _CHUNK):
            crc32 = zlib.crc32(self.piece(start, min(start + _CHUNK, len(self))), crc32)
        return crc32 == self.crc32
