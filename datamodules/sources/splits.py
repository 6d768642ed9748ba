"""Seeded draws that depend on names alone, and the hold-out of whole concepts."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable
from typing import TypeVar

__all__ = ["seeded", "split_by_concept"]

Item = TypeVar("Item")


def seeded(*parts: object) -> random.Random:
    """A generator of its own for every combination of parts, the same on every machine."""
    words = "|".join(map(str, parts))
    return random.Random(int.from_bytes(hashlib.sha256(words.encode()).digest()[:16]))


def split_by_concept(
    source: str, items: Iterable[Item], concept: Callable[[Item], str], val_fraction: float
) -> dict[str, list[Item]]:
    """`train` and `val`, which share no concept: a concept's name alone decides where it goes."""
    splits: dict[str, list[Item]] = {"train": [], "val": []}
    for item in items:
        held_out = seeded(source, "concept", concept(item)).random() < val_fraction
        splits["val" if held_out else "train"].append(item)
    for split, members in splits.items():
        if not members:
            number = sum(map(len, splits.values()))
            raise ValueError(f"val_fraction = {val_fraction} leaves no {source} for {split} of {number}")
    return splits
