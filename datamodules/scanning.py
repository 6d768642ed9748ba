"""What is in a shard: its samples, where their files lie, and how large their images are.

A scan passes over a shard once, and of images it reads the header only. Names are understood as Python's
tarfile does (ustar, GNU and pax, of any length) and split as webdataset does: the key goes up to the first
dot of the file's name, and folders belong to it.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datamodules.captions import caption_of
from datamodules.decode import BrokenSampleError, image_size
from datamodules.members import BLOCK, Member, header_sum, read_member
from datamodules.storage import FileView, ShardFile, location_of, open_file

__all__ = ["ROW", "ShardScan", "printable", "scan_shard"]

ROW = np.dtype(
    [
        *((f"{part}{what}", "<u4") for part in ("image", "text", "meta") for what in ("", "_bytes")),
        ("header_sum", "<u4"),
        ("key_end", "<u8"),
    ]
)
"""A sample's files, their places counted in tar blocks, and the end of its key among all keys."""

_IMAGES = ("png", "jpg", "jpeg", "webp")
_PARTS = {**dict.fromkeys(_IMAGES, "image"), "txt": "text", "json": "meta"}
_KEY_AND_EXTENSION = re.compile(r"^((?:.*/|)[^./]+)[.]([^/]*)$")
_MAX_SHARD_BYTES = 2**32 * BLOCK
_MAX_IMAGE_BYTES = 2**32 - 1
_MAX_TEXT_BYTES = 2**24
_READ_AHEAD = 2**23
_BUFFER = 2**14
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class ShardScan:
    """The usable samples of a shard, in its order, and the others.

    Args:
        location: path or URL.
        rows: (N,) of type `ROW`; ``key_end`` counts from the shard's first key.
        widths: (N,) uint32, as shown (EXIF orientation applied); so are `heights`.
        keys: side by side.
        left_out: (key, cause) of every unusable sample.
    """

    location: str
    num_bytes: int
    rows: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    keys: bytes
    left_out: list[tuple[str, str]]


class _Sample(NamedTuple):
    image: Member
    text: Member
    meta: Member
    width: int
    height: int
    header_sum: int


@dataclass
class _Found:
    """What was found of a sample so far."""

    extensions: list[str] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    headers: list[bytes] = field(default_factory=list)
    causes: dict[str, str] = field(default_factory=dict)  # why a part is unusable
    size: tuple[int, int] = (0, 0)

    def add(self, file: ShardFile, extension: str, member: Member) -> None:
        self.extensions.append(extension)
        part = _PARTS.get(extension)
        if part is None or part in self.members or not member.num_bytes:
            return
        self.members[part] = member
        self.headers.append(file.read(member.start - BLOCK, BLOCK))
        try:
            if part == "image":
                self.size = _image_size(file, member)
            elif member.num_bytes > _MAX_TEXT_BYTES:
                raise BrokenSampleError(f"its {extension} file has {member.num_bytes} bytes")
            elif part == "text":
                caption_of(read_member(file, member), None)
            else:
                caption_of(None, read_member(file, member))
        except BrokenSampleError as error:
            self.causes[part] = str(error)

    def sample(self) -> _Sample:
        if len(set(self.extensions)) < len(self.extensions):
            raise BrokenSampleError("its key occurs twice in the shard")
        if (num_images := sum(extension in _IMAGES for extension in self.extensions)) != 1:
            raise BrokenSampleError(f"{num_images} images ({', '.join(_IMAGES)}) where one is expected")
        captions = [part for part in ("text", "meta") if part in self.members]
        if all(part in self.causes for part in captions):
            causes = dict.fromkeys(self.causes[part] for part in captions)
            raise BrokenSampleError("; ".join(causes) or "no caption")
        if "image" not in self.members:
            raise BrokenSampleError("its image is empty")
        if "image" in self.causes:
            raise BrokenSampleError(self.causes["image"])
        parts = (self.members.get(part, Member()) for part in ("image", "text", "meta"))
        return _Sample(*parts, *self.size, header_sum(self.headers))


def _image_size(file: ShardFile, member: Member) -> tuple[int, int]:
    if member.num_bytes > _MAX_IMAGE_BYTES:
        raise BrokenSampleError(f"its image has {member.num_bytes} bytes")
    view = FileView(file, *member)
    try:
        return image_size(io.BufferedReader(view, _BUFFER))
    except BrokenSampleError:
        if view.error:  # of the disk or network, not of the image
            raise view.error from None
        raise


def scan_shard(place: str | Path) -> ShardScan:
    """Find the samples of one shard; those without a readable image header or a caption are left out.

    A tar that is cut short or damaged between its members is an error, not a shorter shard.
    """
    location = location_of(place)
    found: dict[str, _Found] = {}
    with closing(open_file(location, _READ_AHEAD)) as file:
        if file.size > _MAX_SHARD_BYTES:
            raise ValueError(f"{location} has {file.size} bytes; shards of more than 2 TiB can't be indexed")
        for key, extension, member in _members(location, file):
            found.setdefault(key, _Found()).add(file, extension, member)
        num_bytes = file.size
    samples: dict[bytes, _Sample] = {}
    left_out: list[tuple[str, str]] = []
    for key, parts in found.items():
        try:
            samples[_encoded(key)] = parts.sample()
        except BrokenSampleError as error:
            left_out.append((printable(_encoded(key)), str(error)))
    ends = np.cumsum([len(key) for key in samples]).tolist()
    rows = [
        (*_places(sample), sample.header_sum, end) for sample, end in zip(samples.values(), ends, strict=True)
    ]
    sizes = np.array([(sample.width, sample.height) for sample in samples.values()], "<u4").reshape(-1, 2)
    return ShardScan(
        location, num_bytes, np.array(rows, ROW), sizes[:, 0], sizes[:, 1], b"".join(samples), left_out
    )


def printable(key: bytes) -> str:
    """A key as text, also where it is no UTF-8."""
    return key.decode(errors="backslashreplace")


def _encoded(key: str) -> bytes:
    return key.encode(errors="surrogateescape")  # as tarfile decodes it


def _places(sample: _Sample) -> Iterator[int]:
    for member in (sample.image, sample.text, sample.meta):
        yield from (member.start // BLOCK, member.num_bytes)


def _members(location: str, file: ShardFile) -> Iterator[tuple[str, str, Member]]:
    """Key, extension in lower case and place of every file that follows the naming convention."""
    if file.read(0, 2) == b"\x1f\x8b":
        raise ValueError(
            f"{location} is compressed, so its files can't be read by their places; unpack it with gunzip"
        )
    stream = io.BufferedReader(FileView(file, 0, file.size), _BUFFER)
    try:
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as tar:
            offset = 0
            while (info := tar.next()) is not None:
                tar.members = []  # memory stays flat
                if info.size < 0 or tar.offset <= offset:
                    raise tarfile.ReadError(f"damaged header at byte {offset}")
                offset = tar.offset
                match = _KEY_AND_EXTENSION.match(info.name)
                if match and info.isfile() and not info.issparse():
                    yield match[1], match[2].lower(), Member(info.offset_data, info.size)
            _check_end(stream, tar.offset)
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{location} is no complete tar file ({error}); fetch or write it again") from error


def _check_end(stream: io.BufferedReader, offset: int) -> None:
    stream.seek(offset)
    rest = stream.read(_CHUNK)
    if not rest:  # cut exactly between two members
        raise tarfile.ReadError("its end mark is missing")
    while rest:
        if rest.strip(b"\0"):  # tarfile takes a damaged header for the end
            raise tarfile.ReadError(f"damaged header at byte {offset}")
        rest = stream.read(_CHUNK)
