"""Read Debian's record of who made a package's files, and under which licence (format 1.0, "DEP-5")."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

__all__ = ["FileCopyright", "copyright_of"]


class FileCopyright(NamedTuple):
    license: str
    holders: tuple[str, ...]  # years and names, without addresses


def copyright_of(record: str, name: str) -> FileCopyright:
    """Licence and holders of an installed file; the last paragraph that names it wins.

    The record names files of the source, which an installed file's path ends in: ``nature/Aqua.jpg``. A
    pattern for a whole folder is not looked at, as folders are rearranged when a package is built.
    """
    found = FileCopyright("not stated", ())
    for paragraph in re.split(r"\n\s*\n", record):
        fields = {
            match[1].lower(): [line.strip() for line in match[2].splitlines() if line.strip()]
            for match in re.finditer(r"^([\w-]+):(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE)
        }
        patterns = " ".join(fields.get("files", ())).split()
        if any(pattern == "*" or _names(pattern, name) for pattern in patterns):
            license_ = fields.get("license") or ["not stated"]
            holders = (re.sub(r"\s*<[^>]*>\W*$", "", line) for line in fields.get("copyright", ()))
            found = FileCopyright(license_[0], tuple(holders))
    return found


def _names(pattern: str, name: str) -> bool:
    return not pattern.endswith("/*") and fnmatchcase(f"/{name}", f"*/{pattern}")
