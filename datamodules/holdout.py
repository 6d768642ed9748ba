"""Which samples are held out: by a hash of their names, so that it stays so when others are added."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping

__all__ = ["VAL_FRACTION", "check_held_out", "check_val_fraction", "held_out"]

VAL_FRACTION = 0.02
"""Of a user's own data, if nothing else is said."""


def check_val_fraction(val_fraction: float) -> None:
    """Refuse what is no share, or all of it."""
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be in [0, 1), got {val_fraction}")


def held_out(name: str, val_fraction: float) -> bool:
    """Whether a sample belongs to `val`; the names may hold what no UTF-8 can."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8]) / 2**64 < val_fraction


def check_held_out(sizes: Mapping[str, int], val_fraction: float, what: str) -> None:
    """Refuse a division with nothing to train on, or without the held-out part that was asked for."""
    if not sizes.get("train"):
        raise ValueError(f"none of the {what} are for training")
    if val_fraction and not sizes.get("val"):
        raise ValueError(
            f"val_fraction = {val_fraction} holds out none of the {sizes['train']} {what}; use a larger one, "
            f"or 0 for no held-out images"
        )
