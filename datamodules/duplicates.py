"""Find images that look the same: perceptual hashes, compared exactly and without comparing all pairs.

A signature is the 64-bit pHash of the greys (the lowest 8 x 8 DCT coefficients, above or below their median)
and a 4 x 4 thumbnail in color. Greys alone would take a red circle for a blue one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

__all__ = [
    "SIGNATURE",
    "LookAlikes",
    "check_distance",
    "find_look_alikes",
    "keep_one_of_each",
    "signature_of",
]

_THUMBNAIL = 4
SIGNATURE = np.dtype([("hash", "<u8"), ("colors", "u1", (_THUMBNAIL * _THUMBNAIL * 3,))])


class LookAlikes(NamedTuple):
    """Samples of equal signatures make a class; pairs of classes that are near, each once."""

    classes: np.ndarray  # (N,) class of every sample
    first: np.ndarray  # (P,) classes
    second: np.ndarray  # (P,)
    distance: np.ndarray  # (P,) bits of difference

    @property
    def num_classes(self) -> int:
        return int(self.classes.max(initial=-1)) + 1


def signature_of(image: Image.Image) -> np.void:
    """The :data:`SIGNATURE` of an RGB image."""
    import imagehash

    bits = imagehash.phash(image, hash_size=8).hash.reshape(-1)
    thumbnail = image.resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
    record = np.zeros((), SIGNATURE)
    record["hash"] = np.packbits(bits).view("<u8")[0]
    record["colors"] = np.asarray(thumbnail).reshape(-1)
    return record[()]


def check_distance(max_distance: int) -> None:
    """Refuse what :func:`find_look_alikes` can't do, before hours are spent on signatures."""
    if not 0 <= max_distance <= 7:
        raise ValueError(f"max_distance must be in [0, 7] of 64 bits, got {max_distance}")


def find_look_alikes(signatures: np.ndarray, max_distance: int, max_color: float) -> LookAlikes:
    """Signatures with at most `max_distance` unlike bits and `max_color` mean difference of colors (0-255).

    Exact: of `max_distance` + 1 bands of the 64 bits one is equal, so only signatures that share a band are
    compared. The time grows with the number of pairs that share a band, for N unlike images and distance d
    about (d + 1) N^2 / 2^(64 / (d + 1)) / 2; copies of one image cost nothing, as they are one class.
    """
    check_distance(max_distance)
    as_bytes = np.ascontiguousarray(signatures).view(f"S{SIGNATURE.itemsize}")
    _, places, classes = np.unique(as_bytes, return_index=True, return_inverse=True)
    hashes, colors = signatures["hash"][places], signatures["colors"][places].astype(np.int16)
    pairs = [np.empty((3, 0), np.int64)]
    for shift, width in _bands(max_distance + 1):
        bands = (hashes >> np.uint64(shift)) & np.uint64(2**width - 1)
        order = np.argsort(bands, kind="stable")
        bands = bands[order]
        active = np.arange(
            len(order)
        )  # compared with their 1st, 2nd, ... follower while that shares the band
        for step in range(1, len(order)):
            active = active[active + step < len(order)]
            active = active[bands[active] == bands[active + step]]
            if not len(active):
                break
            pair = np.stack([order[active], order[active + step]])
            distance = np.bitwise_count(hashes[pair[0]] ^ hashes[pair[1]]).astype(np.int64)
            near = distance <= max_distance
            pair, distance = pair[:, near], distance[near]
            alike = np.abs(colors[pair[0]] - colors[pair[1]]).mean(1) <= max_color
            pairs.append(np.concatenate([np.sort(pair[:, alike], 0), distance[None, alike]]))
    first, second, distance = np.unique(np.concatenate(pairs, 1), axis=1)  # some share several bands
    return LookAlikes(classes.reshape(-1), first, second, distance)


def _bands(count: int) -> list[tuple[int, int]]:
    """(first bit, number of bits) of `count` bands that make up 64 bits."""
    edges = np.linspace(0, 64, count + 1).astype(int).tolist()
    return [(start, end - start) for start, end in zip(edges, edges[1:], strict=False)]


def keep_one_of_each(found: LookAlikes, preference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which samples go so that no two look alike, and for whose sake.

    Samples are taken in the order of `preference` (largest first, first of equals); each that stays drops all
    that look like it. So every dropped sample looks like a kept one: chains of small changes stay.

    Returns:
        the kept twin per sample (-1: the sample itself is kept), and the bits between the two.
    """
    by_class = np.lexsort((-preference, found.classes))  # stable: then the first of equals
    best = by_class[np.searchsorted(found.classes[by_class], np.arange(found.num_classes))]
    rank = np.empty(len(best), np.int64)
    rank[np.lexsort((best, -preference[best]))] = np.arange(len(best))
    ends = np.concatenate([found.first, found.second])
    others = np.concatenate([found.second, found.first])
    order = np.argsort(rank[ends], kind="stable")
    kept_class, bits = np.full(len(best), -1), np.zeros(len(best), np.int64)
    for end, other, distance in zip(
        ends[order], others[order], np.tile(found.distance, 2)[order], strict=True
    ):
        if kept_class[end] < 0 and kept_class[other] < 0 and rank[end] < rank[other]:
            kept_class[other], bits[other] = end, distance
    is_kept = kept_class < 0
    twins = best[np.where(is_kept, np.arange(len(best)), kept_class)][found.classes]
    twins[twins == np.arange(len(twins))] = -1
    return twins, bits[found.classes]
