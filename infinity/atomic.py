"""Files that are there whole or not at all, whatever stops the process that writes them."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["flush", "remove", "replacing", "write_atomically"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; the file or folder written there replaces `path` in the end.

    It is on the disk by then, so that not even a power cut leaves half of it. After an error `path` is as it
    was, and nothing is left beside it.
    """
    own = uuid.uuid4().hex[:8]  # threads, or machines that share a disk, may write the same file at a time
    temporary = path.with_name(f".{path.name}.{own}.tmp")
    try:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in _FULL and error.filename is None:  # Python doesn't say which file
            error.filename = str(path)
        raise
    finally:
        remove(temporary)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file, and its folder if need be.

    Text is UTF-8; half of a surrogate pair, which UTF-8 can't hold, becomes its escape.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def flush(path: Path) -> None:
    """Wait until a file, or all files of a folder, are on the disk."""
    for file in [path] if path.is_file() else path.rglob("*"):
        if file.is_file():
            with file.open("rb+") as opened:  # Windows flushes no file that is open for reading only
                os.fsync(opened.fileno())


def remove(path: Path) -> None:
    """Delete a file, a folder, or a link to one, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
