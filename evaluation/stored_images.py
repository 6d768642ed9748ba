"""Images of a data set as they are stored: in tar shards, or in a folder with subfolders (ImageFolder)."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

import numpy as np

from evaluation.image_folders import decode_image
from evaluation.shard_images import IMAGE_SUFFIXES

__all__ = ["StoredImages"]

_THREADS = min(8, os.cpu_count() or 1)
_AHEAD = 4 * _THREADS  # decoded images that wait


@dataclass(frozen=True, kw_only=True)
class StoredImages:
    """The first images of a split.

    Args:
        data: holds shards or images, in a folder named by the split or at once.
        limit: how many, in the order of shards or of names; all if None.
    """

    data: Path
    split: str = "val"
    limit: int | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        """RGB uint8 (H, W, 3)."""
        return self.each(lambda image: image)

    def each(self, prepare: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
        """What a function makes of the images; threads decode and prepare a few images ahead."""

        def make(file: tuple[str, bytes]) -> np.ndarray:
            name, content = file
            return prepare(decode_image(io.BytesIO(content), name))

        with ThreadPoolExecutor(_THREADS) as pool:
            ahead: deque[Future[np.ndarray]] = deque()
            for file in self._files():
                ahead.append(pool.submit(make, file))
                if len(ahead) > _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def sha256(self) -> str:
        """Of all these files' contents, in their order."""
        digest = hashlib.sha256()
        for _, content in self._files():
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def _files(self) -> Iterator[tuple[str, bytes]]:
        found = False
        for file in islice(self._all_files(), self.limit):
            found = True
            yield file
        if not found:
            raise ValueError(
                f"{self._folder} holds no images, nor shards with images; make the data set first"
            )

    def _all_files(self) -> Iterator[tuple[str, bytes]]:
        if shards := sorted(self._folder.glob("*.tar")):
            for shard in shards:
                yield from _members(shard)
        else:
            paths = (path for path in self._folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
            for path in sorted(paths):
                yield str(path), path.read_bytes()

    @property
    def _folder(self) -> Path:
        return self.data / self.split if (self.data / self.split).is_dir() else self.data


def _members(shard: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                is_image = PurePath(member.name).suffix.lower() in IMAGE_SUFFIXES
                if is_image and (file := tar.extractfile(member)):
                    yield f"{member.name} in {shard}", file.read()
    except tarfile.TarError as error:
        raise ValueError(f"{shard} is no whole tar file ({error}); make the data set again") from error
