"""Fetch a Debian package with `apt-get download`, once, and unpack its pictures and texts.

Nothing is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from lzma import LZMAError
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote

from datamodules.packing import Progress

__all__ = ["DebianPackage", "fetch_deb"]

_KEPT = re.compile(r"\.(?:png|jpe?g|svg|txt)$|/(?:copyright|licenses?)$", re.IGNORECASE)
_MEGABYTE = 10**6


class DebianPackage(NamedTuple):
    name: str
    version: str
    folder: Path

    @property
    def id(self) -> str:
        """Name and version."""
        return f"{self.name}={self.version}"

    def copyright(self) -> str:
        """Debian's record of authors and licences."""
        return (self.folder / "usr/share/doc" / self.name / "copyright").read_text("utf-8", "replace")


def fetch_deb(name: str, directory: Path, progress: Progress) -> DebianPackage:
    """The unpacked pictures and texts of a package, below `directory`; fetched if they are not there.

    The version is the one that the machine's apt offers. Elsewhere the .deb may be put into `directory` by
    hand. Links are left out: what they lead to is there under its own name.
    """
    directory.mkdir(parents=True, exist_ok=True)
    found = sorted({path.name.removesuffix(".deb") for path in directory.glob(f"{name}_*")})
    if len(found) > 1:
        raise ValueError(f"{directory} holds several versions of {name} ({', '.join(found)}); keep one")
    stem = found[0] if found else _download(name, directory, progress)
    folder, archive = directory / stem, directory / f"{stem}.deb"
    if not folder.is_dir():
        progress(f"unpack {name}", 0, 1)
        _unpack(archive, folder)
        progress(f"unpack {name}", 1, 1)
    return DebianPackage(name, unquote(stem.split("_")[1]), folder)


def _download(name: str, directory: Path, progress: Progress) -> str:
    by_hand = f"or put its .deb (`apt-get download {name}` on a Debian or Ubuntu machine) into {directory}"
    apt = shutil.which("apt-get")
    if apt is None:
        raise ValueError(
            f"apt-get is needed to fetch {name} and is not installed; use Debian or Ubuntu, {by_hand}"
        )
    with tempfile.TemporaryDirectory(prefix=f".{name}.", suffix=".tmp", dir=directory) as temporary:
        error = _apt(apt, name, Path(temporary), progress)
        archives = sorted(Path(temporary).glob("*.deb"))
        if error is not None or len(archives) != 1:
            raise ValueError(
                f"apt-get could not fetch {name} ({error or 'it wrote no .deb'}); is the network "
                f"reachable, and does `apt-get update` help? Try again, {by_hand}"
            )
        archives[0].rename(directory / archives[0].name)
    return archives[0].stem


def _apt(apt: str, name: str, directory: Path, progress: Progress) -> str | None:
    """Run `apt-get download` in a directory and show how the file grows; returns what went wrong."""
    environment = {**os.environ, "LC_ALL": "C"}
    uris = subprocess.run(
        [apt, "download", "--print-uris", name], env=environment, capture_output=True, text=True, check=False
    )
    size = re.search(r"\.deb (\d+)", uris.stdout)
    total = -(-int(size[1]) // _MEGABYTE) if size else 0
    done = 0
    with tempfile.TemporaryFile("w+") as messages:
        command = [apt, "download", name]
        with subprocess.Popen(
            command, cwd=directory, env=environment, stdout=subprocess.DEVNULL, stderr=messages
        ) as process:
            try:
                while process.poll() is None:
                    time.sleep(0.1)
                    arrived = _size(directory) // _MEGABYTE
                    progress(f"fetch {name} (MB)", arrived - done, total)
                    done = arrived
            except BaseException:
                process.kill()
                raise
        if process.returncode == 0:
            progress(f"fetch {name} (MB)", total - done, total)
        messages.seek(0)
        errors = [line.removeprefix("E:").strip() for line in messages if line.startswith("E:")]
    return (errors or ["no message"])[0] if process.returncode else None


def _size(directory: Path) -> int:
    sizes = []
    for path in directory.iterdir():
        with suppress(FileNotFoundError):  # apt renames what is complete
            sizes.append(path.stat().st_size)
    return sum(sizes)


def _unpack(archive: Path, folder: Path) -> None:
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        with _files(archive) as tar:
            kept = (member for member in tar if member.isreg() and _KEPT.search(member.name))
            tar.extractall(temporary, kept, filter="data")
        temporary.rename(folder)
    except (tarfile.TarError, LZMAError, EOFError, OSError) as error:
        raise ValueError(f"{archive} is damaged ({error}); remove it and run the command again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _files(archive: Path) -> Iterator[tarfile.TarFile]:
    """The tar with the files of a .deb, to be read once from front to end."""
    with archive.open("rb") as file:
        name = _to_data(file)
        if not name.endswith(".zst"):
            with tarfile.open(fileobj=file, mode="r|*") as tar:
                yield tar
            return
    dpkg = shutil.which("dpkg-deb")
    if dpkg is None:
        raise ValueError(
            f"dpkg-deb is needed to unpack {archive}, which is compressed with zstd; install dpkg"
        )
    command = [dpkg, "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as tar,
    ):
        yield tar


def _to_data(file: IO[bytes]) -> str:
    """Go to the start of data.tar.* in a .deb, which is an `ar` archive; returns the full name."""
    if file.read(8) != b"!<arch>\n":
        raise tarfile.ReadError("it is no Debian package")
    while len(header := file.read(60)) == 60:
        name, size = header[:16].decode("ascii", "replace").strip(" /"), header[48:58].strip()
        if name.startswith("data.tar"):
            return name
        if not size.isdigit():
            break
        file.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise tarfile.ReadError("it has no data")
