"""What the commands of ``python -m datamodules`` have in common."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from jsonargparse.typing import PositiveInt

from datamodules.storage import is_url

__all__ = ["command_parser", "local_folder", "names_of", "told_result"]

_MAX_NAMED = 20


def command_parser(command: str, description: str, example: str) -> ArgumentParser:
    """The parser of a command that works in processes."""
    parser = ArgumentParser(
        prog=f"python -m datamodules {command}",
        description=description,
        epilog=f"example: python -m datamodules {example}",
    )
    parser.add_argument("--num_workers", type=PositiveInt, default=os.cpu_count() or 1, help="processes")
    return parser


def local_folder(place: str) -> Path:
    """A folder to write; URLs, which would become folders here, are refused."""
    if is_url(place):
        raise ValueError(f"{place} is a URL, but only a folder of this machine can be written; copy it later")
    return Path(place)


def names_of(value: str | Sequence[object]) -> list[str]:
    """Names as a command line has them, ``train,val`` or ``[train, val]``, or a config file: in a list."""
    names = value.strip("[]").split(",") if isinstance(value, str) else map(str, value)
    return [name for name in (name.strip(" \"'") for name in names) if name]


def told_result(result: Mapping[str, Any]) -> str:
    """Name on stderr the samples that were left out, the first ones of every split; returns the counts."""
    for split, causes in result["left_out"].items():
        for cause in causes[:_MAX_NAMED]:
            sys.stderr.write(f"left out of {split}: {cause}\n")
        if len(causes) > _MAX_NAMED:
            sys.stderr.write(f"left out of {split}: {len(causes) - _MAX_NAMED} more\n")
    return ", ".join(f"{split}: {count} samples" for split, count in result["counts"].items())
