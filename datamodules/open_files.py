"""Files that stay open for reading at random places."""

from __future__ import annotations

from collections import OrderedDict

from datamodules.storage import ShardFile, open_file

__all__ = ["OpenFiles"]

_MAX_OPEN = 64


class OpenFiles:
    """The files that were used last, by path or URL. Pickles as an empty one: each process opens its own."""

    def __init__(self) -> None:
        self._files: OrderedDict[str, ShardFile] = OrderedDict()

    def __reduce__(self) -> tuple[type[OpenFiles], tuple[()]]:
        return OpenFiles, ()

    def __getitem__(self, location: str) -> ShardFile:
        if location not in self._files:
            if len(self._files) == _MAX_OPEN:
                self._files.popitem(last=False)[1].close()
            self._files[location] = open_file(location)
        self._files.move_to_end(location)
        return self._files[location]
