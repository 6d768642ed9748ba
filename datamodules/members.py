"""A sample's files in its shard: where they are, and reading them so that a shard that changed is noticed."""

from __future__ import annotations

import os
import zlib
from typing import NamedTuple

from datamodules.decode import BrokenSampleError
from datamodules.storage import ShardFile

__all__ = ["BLOCK", "Member", "SampleBytes", "SampleRow", "header_sum", "read_member", "read_sample"]

BLOCK = 512
"""The unit of a tar file: a file's data starts at a multiple of it, right behind a header of one block."""

_GAP = 2**17


class Member(NamedTuple):
    """Where a file's bytes lie in its shard; of 0 bytes if there is no such file."""

    start: int = 0
    num_bytes: int = 0


class SampleRow(NamedTuple):
    """What an index says about a sample.

    Args:
        shard: its number within the index.
        header_sum: of the tar headers (name, size, time of change) of its files, see `header_sum`.
    """

    key: str
    shard: int
    image: Member
    text: Member
    meta: Member
    width: int
    height: int
    header_sum: int


class SampleBytes(NamedTuple):
    image: bytes
    text: bytes | None
    meta: bytes | None


def header_sum(headers: list[bytes]) -> int:
    """A 32-bit sum over the tar headers of a sample's files, in any order."""
    return sum(map(zlib.crc32, headers)) % 2**32


def read_member(file: ShardFile | int, member: Member) -> bytes | None:
    """The bytes of a member, None if there is no such member.

    Args:
        file: a shard, or the descriptor of a local one, whose position is left alone.
    """
    if not member.num_bytes:
        return None
    if isinstance(file, int):
        data = os.pread(file, member.num_bytes, member.start)
    else:
        data = file.read(member.start, member.num_bytes)
    if len(data) != member.num_bytes:
        raise BrokenSampleError("its shard is cut short")
    return data


def read_sample(file: ShardFile, row: SampleRow, *, with_image: bool = True) -> SampleBytes:
    """A sample's files, in one read if they lie together, as they do in every common shard.

    Their tar headers are read too, so a shard that was replaced by another of the same size is noticed.

    Args:
        with_image: otherwise only the header of the image is read.
    """
    wanted = [(row.image, row.image.num_bytes if with_image else 0)]
    wanted += [(member, member.num_bytes) for member in (row.text, row.meta)]
    places = [(member.start - BLOCK, BLOCK + length) for member, length in wanted if member.num_bytes]
    start = min((first for first, _ in places), default=-1)
    if start < 0:
        raise BrokenSampleError("its row in the index is damaged")
    stop = max(first + length for first, length in places)
    whole = b""
    if stop - start <= sum(length for _, length in places) + _GAP:
        whole = file.read(start, stop - start)
    headers: list[bytes] = []

    def take(member: Member, num_bytes: int) -> bytes | None:
        if not member.num_bytes:
            return None
        first, length = member.start - BLOCK, BLOCK + num_bytes
        data = whole[first - start : first - start + length] if whole else file.read(first, length)
        if len(data) != length:
            raise BrokenSampleError("its shard is cut short")
        headers.append(data[:BLOCK])
        return data[BLOCK:]

    image, text, meta = (take(*each) for each in wanted)
    if header_sum(headers) != row.header_sum:
        raise BrokenSampleError("its shard was changed after it was indexed")
    return SampleBytes(image or b"", text, meta)
