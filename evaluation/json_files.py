"""JSON from files; what can't be read is an error that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = ["expecting", "parse_json_lines", "read_json", "read_json_lines"]


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return _parse(_text(path), str(path))


def read_json_lines(path: Path) -> list[Any]:
    """The rows of a file of JSON lines."""
    return parse_json_lines(_text(path), str(path))


def parse_json_lines(text: str, name: str) -> list[Any]:
    """The rows of JSON lines; blank lines don't count, `name` is the file for errors."""
    lines = enumerate(text.splitlines(), start=1)
    return [_parse(line, f"line {number} of {name}") for number, line in lines if line.strip()]


@contextmanager
def expecting(what: str, path: Path) -> Iterator[None]:
    """Within the context, fields that are missing or of another kind are an error that names the file."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no {what} ({type(error).__name__}: {error}); make it again") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8 ({error}); make it again") from error


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON ({error}); it may be cut short: make it again") from error
