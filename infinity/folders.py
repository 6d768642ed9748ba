"""Folders that commands write to."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["check_folder"]


def check_folder(folder: Path) -> None:
    """Refuse, before any work, a folder that can't be made or written to."""
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (place.is_dir() and os.access(place, os.W_OK)):
        raise ValueError(f"{place} is no folder that can be written to; name another one")
