"""Where shards lie: local files are read by offset, URLs of any protocol that fsspec knows by byte ranges.

Credentials, endpoints and proxies are fsspec's matter: its configuration files and environment variables.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "FileView",
    "LocalFile",
    "RemoteFile",
    "ShardFile",
    "cache_folder",
    "check_writable",
    "fetch",
    "is_url",
    "join",
    "location_of",
    "on_remote",
    "open_file",
    "remote_size",
    "upload",
]

_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.2
_FINAL = (400, 401, 403, 405, 410, 416, 501)  # answers of web servers that another try doesn't change


def is_url(location: str) -> bool:
    return "://" in location


def location_of(place: str | Path) -> str:
    """A local path or a URL; ``file://`` is a local path."""
    return str(place).removeprefix("file://")


def cache_folder() -> Path:
    """The user's folder for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "infinity-suite"


def join(folder: str, name: str) -> str:
    """A path, or part of a URL, below a folder."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)


class ShardFile(Protocol):
    """A file that is read by offset, at any place in any order."""

    def read(self, start: int, num_bytes: int) -> bytes:
        """Some bytes; fewer where the file ends."""
        ...

    @property
    def size(self) -> int: ...

    def close(self) -> None: ...


class LocalFile:
    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)

    def read(self, start: int, num_bytes: int) -> bytes:
        return os.pread(self._descriptor, num_bytes, start)

    @property
    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        os.close(self._descriptor)


class RemoteFile:
    """A file behind a URL. It keeps the last range that was fetched, so reading on costs no new request.

    It holds no connection, so it is safe in forked and spawned processes and in threads.

    Args:
        read_ahead: smallest range to fetch, for passes from start to end.
    """

    def __init__(self, url: str, read_ahead: int = 0) -> None:
        self.url = url
        self.read_ahead = read_ahead
        self._fetched = (0, b"")

    def read(self, start: int, num_bytes: int) -> bytes:
        first, data = self._fetched
        if start < first or start + num_bytes > first + len(data):
            first, data = self._fetched = start, self._fetch(start, num_bytes)
        return data[start - first : start - first + num_bytes]

    @cached_property
    def size(self) -> int:
        size = remote_size(self.url)
        if size is None:
            raise FileNotFoundError(f"{self.url} is not there")
        return size

    def close(self) -> None:
        self._fetched = (0, b"")

    def _fetch(self, start: int, num_bytes: int) -> bytes:
        stop = start + num_bytes
        if self.read_ahead:
            stop = min(start + max(num_bytes, self.read_ahead), self.size)
        if stop <= start:
            return b""
        data = on_remote(self.url, lambda files, path: files.cat_file(path, start=start, end=stop))
        if len(data) > stop - start:
            raise OSError(
                f"the server of {self.url} sends whole files instead of byte ranges; copy the shards to a "
                f"local disk or to another store"
            )
        return data


def open_file(location: str, read_ahead: int = 0) -> ShardFile:
    """Open a local path or a URL for reading by offset; `read_ahead` matters to URLs only."""
    return RemoteFile(location, read_ahead) if is_url(location) else LocalFile(location)


class FileView(io.RawIOBase):
    """A part of a file as a file object, for libraries that want one; keeps the error of a failed read."""

    def __init__(self, file: ShardFile, start: int, num_bytes: int) -> None:
        self.file = file
        self.start = start
        self.num_bytes = num_bytes
        self.error: OSError | None = None
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = max(0, offset + (0, self._position, self.num_bytes)[whence])
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = max(0, min(len(buffer), self.num_bytes - self._position))
        try:
            data = self.file.read(self.start + self._position, wanted)
        except OSError as error:
            self.error = error
            raise
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def fetch(url: str, path: Path) -> None:
    """Copy a remote file to this machine."""
    on_remote(url, lambda files, there: files.get_file(there, str(path)))


def upload(path: Path, url: str) -> None:
    """Copy a file to a remote store."""
    _write(url, lambda files, there: files.pipe_file(there, path.read_bytes()))


def check_writable(folder: str) -> None:
    """Refuse the URL of a folder where nothing can be written, by writing a file there and removing it."""
    probe = join(folder, ".write_probe")
    _write(probe, lambda files, there: (files.pipe_file(there, b"-"), files.rm_file(there)))


def _write(url: str, call: Callable[[Any, str], Any]) -> None:
    try:
        on_remote(url, call)
    except (OSError, NotImplementedError) as error:
        raise ValueError(
            f"{url} can't be written ({error}); give a folder of this machine by --out"
        ) from error


def on_remote(url: str, call: Callable[[Any, str], Any]) -> Any:
    """What ``call(file system, path there)`` returns, tried again after errors that may pass.

    The file system is asked for each time, as fsspec keeps one per process and thread.
    """
    from fsspec.core import url_to_fs

    try:
        files, path = url_to_fs(url)
    except (ImportError, ValueError) as error:  # a package is missing, or the protocol is unknown
        raise ValueError(f"{url} can't be opened: {error}") from error
    last: Exception | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_FIRST_PAUSE_S * 4 ** (attempt - 1))
        try:
            return call(files, path)
        except (FileNotFoundError, NotADirectoryError, PermissionError, NotImplementedError):
            raise
        except Exception as error:  # fsspec's file systems raise what their clients do
            last = error
            if getattr(error, "status", None) in _FINAL:
                break
    raise OSError(f"{url} failed ({type(last).__name__}: {last})") from last


def remote_size(url: str) -> int | None:
    """In bytes, None for a file that isn't there."""
    try:
        size = on_remote(url, lambda files, path: files.info(path)["size"])
    except FileNotFoundError:
        return None
    if size is None:
        raise OSError(f"the server of {url} doesn't tell the file's size, so it can't be checked")
    return size
