"""Images as their bits, packed into small files.

Layout, little-endian: ``INFBITS`` and the version (8 bytes); bits per cell, number of scales (u16 each),
number of images (u32); SHA-256 of the tokenizer (32 bytes); CRC-32 of the bits (u32); height and width of
every scale (u16 each); then the bits, image by image, scale by scale, as (bit, row, column), packed most
significant bit first and padded to a whole byte. 256 x 256 pixels at 32 bits take 2.1 KB.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from infinity.atomic import write_atomically

__all__ = ["PackedImages", "read_bits", "write_bits"]

_MAGIC = b"INFBITS"
_VERSION = 1
_HEADER = struct.Struct("<7sBHHI32sI")
_MAX_SCALES = 64
_MAX_SIDE = 2**12
_MAX_BITS = 128


class PackedImages(NamedTuple):
    """What a file holds."""

    bits: tuple[Tensor, ...]  # per scale: bool (B, D, h, w) in latent cells
    tokenizer: str  # SHA-256 of the weights of the tokenizer, in hexadecimal


def write_bits(path: Path, bits: Sequence[Tensor], *, tokenizer: str) -> None:
    """Write images, atomically.

    Args:
        bits: of all scales, bool (B, D, h, w).
        tokenizer: SHA-256 of its weights, in hexadecimal.
    """
    num_images, num_bits = bits[0].shape[:2]
    packed = np.packbits(torch.cat([scale.cpu().flatten(1) for scale in bits], dim=1).numpy().reshape(-1))
    payload = packed.tobytes()
    header = _HEADER.pack(
        _MAGIC, _VERSION, num_bits, len(bits), num_images, bytes.fromhex(tokenizer), zlib.crc32(payload)
    )
    sizes = struct.pack(f"<{2 * len(bits)}H", *(side for scale in bits for side in scale.shape[-2:]))
    write_atomically(path, header + sizes + payload)


def read_bits(path: Path) -> PackedImages:
    """Read what :func:`write_bits` wrote; sizes are checked before any memory is taken."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with open(path, "rb") as file:
        start = file.read(_HEADER.size)
        if start[: len(_MAGIC)] != _MAGIC:
            raise ValueError(f"{path} holds no packed bits of an image (it does not start with INFBITS)")
        if len(start) < _HEADER.size:
            raise ValueError(f"{path} is truncated: it ends within its header")
        _, version, num_bits, num_scales, num_images, tokenizer, checksum = _HEADER.unpack(start)
        if version != _VERSION:
            raise ValueError(f"{path} has version {version} of the format, this package reads {_VERSION}")
        if not (1 <= num_bits <= _MAX_BITS and 1 <= num_scales <= _MAX_SCALES and num_images >= 1):
            raise ValueError(
                f"{path} is damaged: {num_images} images, {num_scales} scales, {num_bits} bits are impossible"
            )
        sizes = _sizes(path, file.read(4 * num_scales), num_scales)
        bits_per_image = num_bits * sum(map(math.prod, sizes))
        num_bytes = -(-num_images * bits_per_image // 8)
        expected = _HEADER.size + 4 * num_scales + num_bytes
        if (found := os.fstat(file.fileno()).st_size) != expected:
            what = "truncated" if found < expected else "damaged"
            raise ValueError(f"{path} is {what}: its header promises {expected} bytes, it has {found}")
        payload = file.read(num_bytes)
    if zlib.crc32(payload) != checksum:
        raise ValueError(f"{path} is damaged: its bits don't have the checksum that its header names")
    flat = np.unpackbits(np.frombuffer(payload, dtype=np.uint8), count=num_images * bits_per_image)
    scales = (
        torch.from_numpy(flat).bool().view(num_images, -1).split([num_bits * h * w for h, w in sizes], dim=1)
    )
    bits = tuple(
        scale.reshape(num_images, num_bits, h, w) for scale, (h, w) in zip(scales, sizes, strict=True)
    )
    return PackedImages(bits, tokenizer.hex())


def _sizes(path: Path, packed: bytes, num_scales: int) -> list[tuple[int, int]]:
    if len(packed) < 4 * num_scales:
        raise ValueError(f"{path} is truncated: it ends within its header")
    sizes = list(struct.iter_unpack("<2H", packed))
    if not all(1 <= side <= _MAX_SIDE for size in sizes for side in size):
        raise ValueError(f"{path} is damaged: sides of scales must be in [1, {_MAX_SIDE}], got {sizes}")
    return sizes
