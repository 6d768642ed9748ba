"""An index over tar shards: where every sample's members lie, and how large its image is.

It is what makes plain tars randomly accessible: reading a sample is one seek and one read per member, and
nothing is extracted. On disk an index is ``index.npy``, one fixed-size row per sample (memory-mapped when
used, so that workers share it), and ``index.json``, which names the shards with their sizes and is written
last.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from datamodules.captions import caption_of
from datamodules.decode import BrokenSampleError, image_size
from datamodules.shards import write_atomic

__all__ = ["Member", "SampleRow", "Shard", "ShardIndex", "ShardScan", "scan_shard", "write_index"]

_IMAGES = ("png", "jpg", "jpeg", "webp")
_VERSION = 1
_CHUNK = 2**20
# webdataset's convention: the key goes up to the first dot of the file's name
_KEY_AND_EXTENSION = re.compile(r"^((?:.*/|)[^./]+)[.]([^/]*)$")


class Shard(NamedTuple):
    path: str  # relative to the index's directory
    num_bytes: int


class Member(NamedTuple):
    """Where a file's bytes lie in its shard; of 0 bytes if there is no such file."""

    start: int = 0
    num_bytes: int = 0


class SampleRow(NamedTuple):
    key: str
    shard: int  # number within the scan or index
    image: Member
    text: Member
    meta: Member
    width: int
    height: int


class ShardScan(NamedTuple):
    path: Path
    num_bytes: int
    samples: list[SampleRow]
    left_out: list[tuple[str, str]]  # (key, cause)


def scan_shard(path: Path) -> ShardScan:
    """Find the samples of one shard; those without a readable image header or a caption are left out.

    A tar that is cut short or damaged between its members is an error, not a shorter shard.
    """
    samples: list[SampleRow] = []
    left_out: list[tuple[str, str]] = []
    with path.open("rb") as file:
        for key, parts in _members(path, file).items():
            try:
                samples.append(_sample_row(file, key, parts))
            except BrokenSampleError as error:
                left_out.append((key, str(error)))
        num_bytes = os.fstat(file.fileno()).st_size
    return ShardScan(path, num_bytes, samples, left_out)


def _members(path: Path, file: IO[bytes]) -> dict[str, dict[str, Member]]:
    members: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.isfile() and (match := _KEY_AND_EXTENSION.match(info.name)):
                    parts, extension = members.setdefault(match[1], {}), match[2].lower()
                    if extension in parts:
                        parts["repeated"] = parts[extension]
                    parts[extension] = Member(info.offset_data, info.size)
            file.seek(tar.offset)
            rest = file.read(_CHUNK)
            if not rest:  # cut exactly between two members
                raise tarfile.ReadError("its end mark is missing")
            while rest:
                if rest.strip(b"\0"):  # tarfile takes a damaged header for the end
                    raise tarfile.ReadError(f"damaged header at byte {tar.offset}")
                rest = file.read(_CHUNK)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path} is no complete tar file ({error}); fetch or write it again") from error
    return members


def _sample_row(file: IO[bytes], key: str, parts: dict[str, Member]) -> SampleRow:
    if "repeated" in parts:
        raise BrokenSampleError("its key occurs twice in the shard")
    images = [parts[extension] for extension in _IMAGES if extension in parts]
    if len(images) != 1:
        raise BrokenSampleError(f"{len(images)} images ({', '.join(_IMAGES)}) where one is expected")
    text, meta = parts.get("txt", Member()), parts.get("json", Member())
    caption_of(read_member(file.fileno(), text), read_member(file.fileno(), meta))
    width, height = image_size(io.BytesIO(read_member(file.fileno(), images[0]) or b""))
    return SampleRow(key, 0, images[0], text, meta, width, height)


def read_member(descriptor: int, member: Member) -> bytes | None:
    """The bytes of a member, None if there is no such member; leaves the file's position alone."""
    if not member.num_bytes:
        return None
    data = os.pread(descriptor, member.num_bytes, member.start)
    if len(data) != member.num_bytes:
        raise BrokenSampleError("its shard is cut short")
    return data


def write_index(
    directory: Path, scans: Iterable[ShardScan], keep: Callable[[str], bool] | None = None
) -> None:
    """Write the index of some shards into `directory`.

    Args:
        keep: whether a sample belongs to this split, if the shards hold several, by ``<shard's name>/<key>``.
    """
    scans = list(scans)
    keys = [row.key for scan in scans for row in scan.samples]
    # foreign shards often count from zero each: then the shard's name makes the key unique
    unique = len(set(keys)) == len(keys)
    shards, rows = [], []
    for number, scan in enumerate(scans):
        shards.append(Shard(Path(os.path.relpath(scan.path, directory)).as_posix(), scan.num_bytes))
        for row in scan.samples:
            full_key = f"{scan.path.stem}/{row.key}"
            if keep is None or keep(full_key):
                key = row.key if unique else full_key
                rows.append((key.encode(), number, *row.image, *row.text, *row.meta, row.width, row.height))
    if not rows:
        causes = [f"{key}: {cause}" for scan in scans for key, cause in scan.left_out]
        listed = f" ({'; '.join(causes[:3])})" if causes else ""
        raise ValueError(f"no usable sample for {directory} in {len(scans)} shards{listed}")
    table = np.array(rows, _row_type(max(len(row[0]) for row in rows)))
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=False)
    header: dict[str, Any] = {
        "version": _VERSION,
        "num_samples": len(rows),
        "fingerprint": hashlib.sha256(repr(shards).encode() + buffer.getvalue()).hexdigest()[:16],
        "shards": [shard._asdict() for shard in shards],
        "left_out": [item for scan in scans for item in scan.left_out],
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "index.json").unlink(missing_ok=True)
    write_atomic(directory / "index.npy", buffer.getvalue())
    write_atomic(directory / "index.json", json.dumps(header, indent=1))


def _row_type(key_bytes: int) -> np.dtype:
    members = [(f"{name}_{field}", "<i8") for name in ("image", "text", "meta") for field in Member._fields]
    return np.dtype(
        [("key", f"S{key_bytes}"), ("shard", "<i4"), *members, ("width", "<i4"), ("height", "<i4")]
    )


def _load_again(directory: Path, fingerprint: str) -> ShardIndex:
    index = ShardIndex.load(directory)
    if index.fingerprint != fingerprint:
        raise ValueError(f"the index of {directory} was changed while it was in use; start again")
    return index


class ShardIndex:
    """A split's samples by number. Pickles as its directory, so a worker maps the file itself."""

    def __init__(self, directory: Path, header: dict[str, Any], table: np.ndarray) -> None:
        self.directory = directory
        self.table = table
        self.shards = tuple(Shard(**shard) for shard in header["shards"])
        self.fingerprint: str = header["fingerprint"]
        self.left_out: list[tuple[str, str]] = [(key, cause) for key, cause in header["left_out"]]

    @classmethod
    def load(cls, directory: Path) -> ShardIndex:
        """Open the index of a split."""
        header_path = directory / "index.json"
        if not header_path.is_file():
            raise ValueError(
                f"no index in {directory}; make one of existing shards with `python -m datamodules index "
                f"{directory}`, or a data set with `python -m datamodules prepare` or `pack`"
            )
        try:
            header = json.loads(header_path.read_text())
            table = np.load(directory / "index.npy", mmap_mode="r")
        except (OSError, ValueError) as error:
            raise ValueError(
                f"the index of {directory} is damaged ({error}); "
                f"run `python -m datamodules index {directory}`"
            ) from error
        if header.get("version") != _VERSION:
            raise ValueError(
                f"{header_path} has index version {header.get('version')}, expected {_VERSION}; "
                f"run `python -m datamodules index {directory}`"
            )
        return cls(directory, header, table)

    def __reduce__(self) -> tuple[Callable[[Path, str], ShardIndex], tuple[Path, str]]:
        return (_load_again, (self.directory, self.fingerprint))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, sample: int) -> SampleRow:
        key, shard, *places, width, height = self.table[sample].item()
        image, text, meta = (Member(*places[k : k + 2]) for k in (0, 2, 4))
        return SampleRow(key.decode(), shard, image, text, meta, width, height)

    @property
    def widths(self) -> np.ndarray:
        return self.table["width"]

    @property
    def heights(self) -> np.ndarray:
        return self.table["height"]

    def shard_path(self, number: int) -> Path:
        return self.directory / self.shards[number].path

    def verify(self) -> None:
        """Check that every shard is there with the size it had when it was indexed."""
        for number, shard in enumerate(self.shards):
            path = self.shard_path(number)
            if not path.is_file():
                raise ValueError(
                    f"shard {path} is missing; bring it back, or index the folder again without it"
                )
            if path.stat().st_size != shard.num_bytes:
                raise ValueError(
                    f"shard {path} has {path.stat().st_size} bytes, but {shard.num_bytes} when it was "
                    f"indexed: it was cut short or changed; bring the old one back, or index again"
                )
