"""Folders of files, compared."""

from __future__ import annotations

from pathlib import Path

__all__ = ["contents"]


def contents(root: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
