"""Files that stay open for reading at random places."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

__all__ = ["OpenFiles"]

_MAX_OPEN = 64


class OpenFiles:
    """Descriptors of the files that were used last. Pickles as an empty one: each process opens its own."""

    def __init__(self) -> None:
        self._descriptors: OrderedDict[Path, int] = OrderedDict()

    def __reduce__(self) -> tuple[type[OpenFiles], tuple[()]]:
        return OpenFiles, ()

    def descriptor(self, path: Path) -> int:
        if path not in self._descriptors:
            if len(self._descriptors) == _MAX_OPEN:
                os.close(self._descriptors.popitem(last=False)[1])
            self._descriptors[path] = os.open(path, os.O_RDONLY)
        self._descriptors.move_to_end(path)
        return self._descriptors[path]
