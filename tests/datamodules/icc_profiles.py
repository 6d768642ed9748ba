"""Small ICC profiles, byte by byte."""

from __future__ import annotations

import itertools
import struct

_WHITE = (0.9642, 1.0, 0.8249)  # D50
_PRIMARIES = {"r": (0.4360, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7139)}


def linear_profile(space: bytes = b"RGB ") -> bytes:
    """Has sRGB's colours and its name, or greys, but light itself instead of sRGB's curve."""
    tags = {b"wtpt": _xyz(_WHITE)}
    for name, values in _PRIMARIES.items():
        tags[f"{name}XYZ".encode()] = _xyz(values)
    for curve in ("rTRC", "gTRC", "bTRC") if space == b"RGB " else ("kTRC",):
        tags[curve.encode()] = b"curv" + bytes(8)
    return _profile(b"mntr", space, b"XYZ ", tags)


def cmyk_profile() -> bytes:
    """Every ink is black: lightness falls evenly with it, and there is no hue."""
    nodes = [(0 if any(inks) else 255, 128, 128) for inks in itertools.product((0, 1), repeat=4)]
    straight = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 * (k % 4 == 0) for k in range(9)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix
    table += 4 * straight + bytes(itertools.chain.from_iterable(nodes)) + 3 * straight
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": _xyz(_WHITE), b"A2B0": table})


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"desc\0\0\0\0" + struct.pack(">I", 12) + b"linear sRGB\0" + bytes(78)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none", **tags}
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    date = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, kind, space, connection)
    head += date + b"acsp" + bytes(28) + _xyz(_WHITE)[8:]
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))
