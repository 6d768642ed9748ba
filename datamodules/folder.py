"""A user's own folder of images with captions beside them, as a source to pack.

``cat.jpg`` has its caption in ``cat.txt``, or under ``caption`` in ``cat.json``. Images are stored as
they are, not encoded again.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from datamodules.decode import BrokenSampleError, caption_of, image_size
from datamodules.packing import DatasetParts
from datamodules.shards import Sample

__all__ = ["FolderSource", "folder_dataset"]

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class FolderSource:
    """Image files below `folder`, by their relative paths."""

    folder: Path
    paths: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.folder / self.paths[index]
        try:
            image = path.read_bytes()
            text, metadata = (self._sidecar(path, suffix) for suffix in (".txt", ".json"))
            caption = caption_of(text, metadata)
            width, height = image_size(io.BytesIO(image))
            record = json.loads(metadata) if metadata else {}
            if not isinstance(record, dict):
                raise ValueError("its .json is no JSON object")
        except (OSError, ValueError, RecursionError) as error:
            raise BrokenSampleError(f"{self.paths[index]}: {error}") from error
        return Sample(_key(self.paths[index]), image, path.suffix[1:].lower(), caption, width, height, record)

    @staticmethod
    def _sidecar(image: Path, suffix: str) -> bytes | None:
        path = image.with_suffix(suffix)
        return path.read_bytes() if path.is_file() else None


def folder_dataset(folder: Path, val_fraction: float) -> DatasetParts:
    """`train` and `val` (by a hash of the file's path) of all images below a folder."""
    if not 0 <= val_fraction < 1:
        raise ValueError(f"val_fraction must be in [0, 1), got {val_fraction}")
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _EXTENSIONS)
    splits: dict[str, list[str]] = {"train": [], "val": []}
    listing = hashlib.sha256()
    for path in found:
        name = path.relative_to(folder).as_posix()
        draw = int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8]) / 2**64
        splits["val" if draw < val_fraction else "train"].append(name)
        for part in (path, path.with_suffix(".txt"), path.with_suffix(".json")):
            if part.is_file():  # a dangling link is left out, and named, when it is packed
                facts = part.stat()
                listing.update(os.fsencode(f"{name}|{part.suffix}|{facts.st_size}|{facts.st_mtime_ns}\n"))
    if not splits["train"]:
        raise ValueError(f"no images ({', '.join(_EXTENSIONS)}) for training below {folder}")
    if val_fraction and not splits["val"]:
        raise ValueError(
            f"val_fraction = {val_fraction} holds out none of the {len(found)} images below {folder}; use a "
            f"larger one, or 0 for no held-out images"
        )
    sources = {split: FolderSource(folder, tuple(names)) for split, names in splits.items() if names}
    description = {
        "name": folder.resolve().name,
        "val_fraction": val_fraction,
        "files": listing.hexdigest()[:16],
    }
    return DatasetParts(description, sources, {})


def _key(name: str) -> str:
    """Readable, without dots and slashes, and unique through a hash: `cat.jpg` can lie beside `cat.png`."""
    clean = re.sub(r"[^\w-]+", "_", name.rpartition(".")[0])
    return f"{clean[-60:]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
