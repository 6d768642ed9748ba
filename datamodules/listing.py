"""What is in a folder, here or at a URL, and how large files are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datamodules.storage import is_url, on_remote, remote_size

__all__ = ["file_sizes", "folders_in", "sizes_in"]

_NUM_THREADS = 16


def sizes_in(folder: str) -> dict[str, int | None]:
    """Files of a folder, if there is one, with their sizes in bytes; None where a listing doesn't tell."""
    if is_url(folder):
        entries = _remote_entries(folder)
        return {_name(entry): entry.get("size") for entry in entries if entry.get("type") != "directory"}
    sizes: dict[str, int | None] = {}
    try:
        with os.scandir(folder or ".") as found:
            for entry in found:
                try:
                    if entry.is_file():
                        sizes[entry.name] = entry.stat().st_size
                except FileNotFoundError:  # removed meanwhile, or a dangling link
                    continue
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that can't exist
        return {}
    return sizes


def folders_in(folder: str) -> list[str]:
    """Names of the folders in a folder, sorted."""
    if is_url(folder):
        return sorted(_name(entry) for entry in _remote_entries(folder) if entry.get("type") == "directory")
    return sorted(path.name for path in Path(folder).glob("*/"))


def file_sizes(locations: Sequence[str]) -> list[int | None]:
    """Sizes in bytes, None for files that aren't there: one listing a folder, not one request a file."""
    folders: dict[str, dict[str, int | None]] = {}
    sizes: list[int | None] = []
    for location in locations:
        folder, _, name = location.rpartition("/")
        if folder not in folders:
            try:
                folders[folder] = sizes_in(folder)
            except OSError:  # not every web server lists its folders
                folders[folder] = {}
        sizes.append(folders[folder].get(name))
    unknown = [number for number, size in enumerate(sizes) if size is None]
    if unknown:
        with ThreadPoolExecutor(_NUM_THREADS) as pool:
            for number, size in zip(unknown, pool.map(_size, [locations[k] for k in unknown]), strict=True):
                sizes[number] = size
    return sizes


def _remote_entries(folder: str) -> list[dict[str, Any]]:
    def listed(files: Any, path: str) -> list[dict[str, Any]]:
        files.invalidate_cache()
        return files.ls(path, detail=True)

    try:
        return on_remote(folder, listed)
    except FileNotFoundError:
        return []
    except (OSError, NotImplementedError) as error:
        raise OSError(
            f"{folder} can't be listed ({error}); if files can be read there, name them by a pattern: "
            f"{folder.rstrip('/')}/{{00000..00099}}.tar"
        ) from error


def _name(entry: dict[str, Any]) -> str:
    return str(entry["name"]).rstrip("/").rpartition("/")[2]


def _size(location: str) -> int | None:
    if is_url(location):
        return remote_size(location)
    try:
        return os.stat(location).st_size
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a name that can't exist
        return None
