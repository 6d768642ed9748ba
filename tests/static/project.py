"""The files of the project that the static tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("infinity", "lit_modules", "datamodules", "evaluation")
FOLDERS = (*PACKAGES, "configs", "docs", "tests", ".ci")


def project_files(*folders: str, pattern: str = "*") -> list[Path]:
    """Files below `folders`; if none is named, all of the project's with those of the top level."""
    below = [path for folder in folders or FOLDERS for path in (ROOT / folder).rglob(pattern)]
    top = [] if folders else list(ROOT.glob(pattern))
    return sorted(path for path in below + top if path.is_file() and "__pycache__" not in path.parts)
