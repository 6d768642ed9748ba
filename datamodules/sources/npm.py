"""Fetch a package's files with the npm client (`npm pack`), once, and unpack them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from datamodules.packing import Progress

__all__ = ["fetch_package"]

_TIMEOUT_SECONDS = 600


def fetch_package(name: str, version: str, directory: Path, progress: Progress) -> Path:
    """The folder, below `directory`, with the files of one version of a package; fetched if it isn't there.

    Without npm, the package's .tgz (as `npm pack` names it) may be put into `directory` by hand.
    """
    stem = f"{name.lstrip('@').replace('/', '-')}-{version}"
    folder = directory / stem
    if folder.is_dir():
        return folder
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"{stem}.tgz"
    if not archive.is_file():
        progress(f"fetch {name}", 0, 1)
        _npm_pack(f"{name}@{version}", directory, archive)
        progress(f"fetch {name}", 1, 1)
    temporary = directory / f".{stem}.{os.getpid()}.tmp"
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(temporary, filter="data")
        (temporary / "package").rename(folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{archive} is damaged ({error}); remove it and run the command again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _npm_pack(package: str, directory: Path, archive: Path) -> None:
    by_hand = f"or put {archive.name} from another machine (`npm pack {package}`) into {directory}"
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(f"npm is needed to fetch {package} and is not installed; install Node.js, {by_hand}")
    command = [npm, "pack", package, "--pack-destination", str(directory)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(
            f"npm did not fetch {package} in {_TIMEOUT_SECONDS} s; try again, {by_hand}"
        ) from error
    if done.returncode or not archive.is_file():
        lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")] or ["no message"]
        cause = lines[0].removeprefix("npm error").strip()
        raise ValueError(
            f"npm could not fetch {package} ({cause}); is the network reachable? Try again, {by_hand}"
        )
