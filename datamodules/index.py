"""An index over tar shards: where every sample's files lie, and how large its image is.

It is what makes plain tars randomly accessible: reading a sample is one read at an offset, and nothing is
extracted. Its columns are memory-mapped: opening 10^8 samples takes no longer than opening a hundred, memory
is used for the columns that are looked at, and workers share them.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from datamodules.damage import SIGNS_OF_DAMAGE
from datamodules.decode import BrokenSampleError
from datamodules.index_columns import COLUMNS, Column, column_name
from datamodules.index_files import HEADER, VERSION, Shard, prefixes_of, write_index
from datamodules.listing import file_sizes
from datamodules.members import BLOCK, Member, SampleRow, read_member, read_sample
from datamodules.scanning import ShardScan, printable, scan_shard
from datamodules.storage import ShardFile, cache_folder, fetch, is_url, join, location_of, open_file

__all__ = [
    "Member",
    "SampleRow",
    "Shard",
    "ShardIndex",
    "ShardScan",
    "read_member",
    "read_sample",
    "scan_shard",
    "write_index",
]

_MAX_SUMMED_BYTES = 2**28
_MAX_PROBED_SHARDS = 16


def _load_again(place: str, fingerprint: str) -> ShardIndex:
    index = ShardIndex.load(place)
    if index.fingerprint != fingerprint:
        raise ValueError(f"the index of {place} was changed while it was in use; start again")
    return index


class ShardIndex:
    """A split's samples by number. Pickles as its place, so a worker opens the files itself.

    Args:
        place: folder or URL that relative paths of shards start from.
        directory: local folder with the columns.
    """

    def __init__(self, place: str, directory: Path, header: dict[str, Any]) -> None:
        self.place = place
        self.directory = directory
        self.fingerprint: str = header["fingerprint"]
        self.shards = tuple(Shard(str(path), *map(int, counts)) for path, *counts in header["shards"])
        self.shard_starts = np.cumsum([0, *(shard.num_samples for shard in self.shards)], dtype=np.int64)
        """The number of every shard's first sample, and of all samples."""
        self._unique_keys = bool(header["unique_keys"])
        self._columns = {
            name: Column(
                directory / column_name(self.fingerprint, name), dtype, *map(int, header["columns"][name])
            )
            for name, dtype in COLUMNS.items()
        }
        if {len(self._columns[name]) for name in ("rows", "widths", "heights")} != {len(self)}:
            raise ValueError("its columns have other lengths than its shards")

    @classmethod
    def load(cls, place: str | Path) -> ShardIndex:
        """Open the index of a split; a remote one is copied into the user's cache folder first."""
        place = location_of(place)
        try:
            directory = _local_copy(place) if is_url(place) else Path(place)
            if not (directory / HEADER).is_file():
                raise FileNotFoundError(directory / HEADER)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(
                f"no index in {place}; make one of existing shards with `python -m datamodules index "
                f"{place}`, or a data set with `python -m datamodules prepare` or `pack`"
            ) from error
        try:
            header = json.loads((directory / HEADER).read_text())
            version = header.get("version")
            if version == VERSION:
                return cls(place, directory, header)
        except (*SIGNS_OF_DAMAGE, OSError) as error:
            raise _damaged(place, error) from error
        raise ValueError(
            f"the index of {place} has version {version}, expected {VERSION}; "
            f"run `python -m datamodules index {place}`"
        )

    def __reduce__(self) -> tuple[Callable[[str, str], ShardIndex], tuple[str, str]]:
        return (_load_again, (self.place, self.fingerprint))

    def __len__(self) -> int:
        return int(self.shard_starts[-1])

    def __getitem__(self, sample: int) -> SampleRow:
        number = range(len(self))[sample]
        rows = self._columns["rows"].piece(max(number - 1, 0), number + 1).tolist()
        *places, header_sum, key_end = rows[-1]
        shard = int(self.shards_of(number))
        key = printable(self._key(shard, rows[0][-1] if number else 0, key_end))
        image, text, meta = (Member(places[k] * BLOCK, places[k + 1]) for k in (0, 2, 4))
        width, height = (
            int(self._columns[name].piece(number, number + 1)[0]) for name in ("widths", "heights")
        )
        return SampleRow(key, shard, image, text, meta, width, height, header_sum)

    @property
    def widths(self) -> np.ndarray:
        """(N,) uint32, as shown (EXIF orientation applied)."""
        return self._columns["widths"].array

    @property
    def heights(self) -> np.ndarray:
        """(N,) uint32, as shown."""
        return self._columns["heights"].array

    @property
    def rows(self) -> np.ndarray:
        """(N,) of type `scanning.ROW`: where the files and the key of every sample are."""
        return self._columns["rows"].array

    def shards_of(self, samples: np.ndarray | int) -> np.ndarray:
        """The numbers of the shards that some samples are in."""
        return np.searchsorted(self.shard_starts, samples, side="right") - 1

    def part(self, samples: np.ndarray) -> ShardScan:
        """Some samples of one shard, in ascending order, as if a scan had found only them."""
        shard = int(self.shards_of(samples[0]))
        if shard != self.shards_of(samples[-1]):
            raise ValueError(f"samples {samples[0]} and {samples[-1]} are not of one shard")
        rows = self.rows[samples]
        starts = np.where(samples > 0, self.rows["key_end"][samples - 1], 0).tolist()
        keys = [self._key(shard, *ends) for ends in zip(starts, rows["key_end"].tolist(), strict=True)]
        rows["key_end"] = np.cumsum([len(key) for key in keys])
        sizes = self.widths[samples], self.heights[samples]
        return ShardScan(self.location(shard), self.shards[shard].num_bytes, rows, *sizes, b"".join(keys), [])

    @cached_property
    def left_out(self) -> list[tuple[str, str]]:
        """(key, cause) of all samples that were unusable when the shards were indexed."""
        try:
            lines = self._columns["left_out"].array.tobytes().splitlines()
            return [(str(key), str(cause)) for key, cause in map(json.loads, lines)]
        except SIGNS_OF_DAMAGE as error:
            raise _damaged(self.place, error) from error

    def location(self, shard: int) -> str:
        """Path or URL of a shard."""
        path = self.shards[shard].path
        return path if is_url(path) or os.path.isabs(path) else join(self.place, path)

    def shard_path(self, shard: int) -> Path:
        """Path of a shard that is on this machine."""
        if is_url(location := self.location(shard)):
            raise ValueError(f"{location} is not on this machine; copy the shards here and index the copy")
        return Path(location)

    def open_shard(self, shard: int) -> ShardFile:
        return open_file(self.location(shard))

    def verify(self) -> None:
        """Check at start that the index is whole, and every shard there with the size that it had.

        Columns of up to 256 MiB in all are read for that (larger ones: their sizes). Of up to 16 shards a few
        samples are looked at, so that other shards under the same names are noticed even if they have the
        same sizes; of all others that shows when a sample is read.
        """
        self._verify_columns()
        locations = [self.location(number) for number in range(len(self.shards))]
        for location, shard, size in zip(locations, self.shards, file_sizes(locations), strict=True):
            if size is None:
                raise ValueError(
                    f"shard {location} is missing; bring it back, or index the folder again without it"
                )
            if size != shard.num_bytes:
                raise ValueError(
                    f"shard {location} has {size} bytes, but {shard.num_bytes} when it was indexed: it was "
                    f"cut short or changed; bring the old one back, or index again"
                )
        filled = [number for number, shard in enumerate(self.shards) if shard.num_samples]
        for number in filled[:: -(-len(filled) // _MAX_PROBED_SHARDS)]:
            self._probe(number)

    def _verify_columns(self) -> None:
        if sum(column.num_bytes for column in self._columns.values()) <= _MAX_SUMMED_BYTES:
            for name, column in self._columns.items():
                if not column.is_sound():
                    raise _damaged(self.place, f"its {name} have another checksum")

    def _probe(self, shard: int) -> None:
        """Refuse a shard if none of a few samples is where the index says: one could be damage, all can't."""
        first, stop = self.shard_starts[shard : shard + 2].tolist()
        file = self.open_shard(shard)
        try:
            for sample in dict.fromkeys((first, (first + stop) // 2, stop - 1)):
                try:
                    read_sample(file, self[sample])
                    return
                except BrokenSampleError:
                    continue
        finally:
            file.close()
        raise ValueError(
            f"shard {self.location(shard)} was changed after it was indexed, though it has the same size; "
            f"bring the old one back, or index again"
        )

    def _key(self, shard: int, start: int, stop: int) -> bytes:
        if not 0 <= start <= stop <= len(self._columns["keys"]):
            raise _damaged(self.place, "a row of it points to no key")
        key = self._columns["keys"].piece(start, stop).tobytes()
        if self._unique_keys:
            return key
        return f"{self._prefixes[shard]}/".encode(errors="surrogateescape") + key

    @cached_property
    def _prefixes(self) -> Sequence[str]:
        return prefixes_of([self.location(number) for number in range(len(self.shards))])


def _damaged(place: str, cause: object) -> ValueError:
    return ValueError(f"the index of {place} is damaged ({cause}); run `python -m datamodules index {place}`")


def _local_copy(url: str) -> Path:
    """A remote index in the cache folder, by a hash of its header: copied once for all processes and runs."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), ignore_cleanup_errors=True) as name:
        temporary = Path(name)
        fetch(join(url, HEADER), temporary / HEADER)
        text = (temporary / HEADER).read_bytes()
        copy = cache_folder() / f"index-{hashlib.sha256(text).hexdigest()[:32]}"
        if copy.is_dir():
            return copy
        try:
            header = json.loads(text)
            for column, (num_bytes, _) in header["columns"].items():
                file_name = column_name(header["fingerprint"], column)
                if num_bytes:
                    fetch(join(url, file_name), temporary / file_name)
        except (*SIGNS_OF_DAMAGE, FileNotFoundError) as error:
            raise _damaged(url, error) from error
        with suppress(OSError):  # another process was faster
            temporary.rename(copy)
    return copy
