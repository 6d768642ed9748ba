"""A user's own folder of images with captions beside them, as a source to pack.

``cat.jpg`` has its caption in ``cat.txt`` (or ``.TXT``), or under ``caption`` in ``cat.json``. Images are
stored as they are, not encoded again, unless they are to be made smaller. Hidden files are passed over.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from datamodules.captions import caption_of, record_of
from datamodules.decode import BrokenSampleError
from datamodules.holdout import check_held_out, check_val_fraction, held_out
from datamodules.packing import DatasetParts
from datamodules.shards import Sample, clean_key
from datamodules.stored_image import read_image, stored_image

__all__ = ["IMAGE_SUFFIXES", "FolderSource", "folder_dataset"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
# left out and named, unless there is one of the above inside
IMAGE_SUFFIXES += (".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl")
_SIDECARS = (".txt", ".json")


@dataclass(frozen=True)
class FolderSource:
    """Image files below `folder`, by their relative paths; so are folders that can't be read."""

    folder: Path
    paths: tuple[str, ...]
    max_side: int | None = None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.folder / self.paths[index]
        try:
            if self.paths[index].endswith("/"):
                raise PermissionError("this folder can't be read")
            data = read_image(path)
            text, metadata = (self._sidecar(path, suffix) for suffix in _SIDECARS)
            caption = caption_of(text, metadata)
            image = stored_image(data, self.max_side)
            record = record_of(metadata)
        except (OSError, ValueError) as error:
            name = os.fsencode(self.paths[index]).decode(errors="backslashreplace")
            raise BrokenSampleError(f"{name}: {error}") from error
        key = _key(self.paths[index])
        return Sample(key, image.data, image.extension, caption, image.width, image.height, record)

    def part(self, start: int, stop: int) -> FolderSource:
        return replace(self, paths=self.paths[start:stop])

    @staticmethod
    def _sidecar(image: Path, suffix: str) -> bytes | None:
        paths = map(image.with_suffix, _spellings(suffix))
        return next((path.read_bytes() for path in paths if path.is_file()), None)


def folder_dataset(folder: Path, val_fraction: float, *, max_side: int | None = None) -> DatasetParts:
    """`train` and `val` (by a hash of the file's path) of all images below a folder."""
    check_val_fraction(val_fraction)
    splits: dict[str, list[str]] = {"train": [], "val": []}
    listing = hashlib.sha256()
    for name, facts in _images(folder):
        splits["val" if held_out(name, val_fraction) else "train"].append(name)
        listing.update(os.fsencode(f"{name}|{facts}\n"))
    if not splits["train"]:
        raise ValueError(f"no images (PNG, JPEG or WebP) for training below {folder}")
    check_held_out(
        {split: len(names) for split, names in splits.items()}, val_fraction, f"images below {folder}"
    )
    sources = {
        split: FolderSource(folder, tuple(names), max_side) for split, names in splits.items() if names
    }
    description = {
        "name": folder.resolve().name,
        "val_fraction": val_fraction,
        "files": listing.hexdigest()[:16],
    }
    if max_side is not None:
        description["max_side"] = max_side
    return DatasetParts(description, sources, {})


def _images(folder: Path) -> Iterator[tuple[str, str]]:
    """The images below a folder, in fixed order, each with sizes and times of its files.

    Links are followed, and every folder is gone through once, whatever leads to it.
    """
    below = [""]
    seen: set[str] = set()
    while below:
        prefix = below.pop()
        real = os.path.realpath(folder / prefix)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder / prefix) as found:
                entries = list(found)
        except PermissionError:
            if not prefix:
                raise
            yield prefix, ""  # it is left out, and named, when it is packed
            continue
        facts: dict[str, str] = {}
        folders: list[str] = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.append(f"{prefix}{entry.name}/")
            elif os.path.splitext(entry.name)[1].lower() in (*IMAGE_SUFFIXES, *_SIDECARS):
                facts[entry.name] = _facts(entry)
        for name in sorted(facts):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                sidecars = [[stem + spelling for spelling in _spellings(sidecar)] for sidecar in _SIDECARS]
                parts = (name, *(next(filter(facts.get, names), "") for names in sidecars))
                yield prefix + name, "|".join(facts.get(part, "") for part in parts)
        below += sorted(folders, reverse=True)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _spellings(suffix: str) -> tuple[str, str, str]:
    """``.txt``, ``.TXT``, ``.Txt``, the first of which counts."""
    return suffix, suffix.upper(), suffix.title()


def _facts(entry: os.DirEntry[str]) -> str:
    try:
        status = entry.stat()
    except OSError:  # a dangling link is left out, and named, when it is packed
        return "gone"
    return f"{status.st_size} {status.st_mtime_ns}"


def _key(name: str) -> str:
    """Readable, without dots and slashes, and unique through a hash: `cat.jpg` can lie beside `cat.png`."""
    return f"{clean_key(name.rpartition('.')[0])[-60:]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
