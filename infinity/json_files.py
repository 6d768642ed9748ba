"""JSON in files; what can't be read is an error that names the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infinity.atomic import write_atomically

__all__ = [
    "expecting",
    "parse_json",
    "parse_json_lines",
    "read_json",
    "read_json_lines",
    "read_json_object",
    "write_json",
]


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return parse_json(_text(path), str(path))


def read_json_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def read_json_lines(path: Path) -> list[Any]:
    """The rows of a file of JSON lines."""
    return parse_json_lines(_text(path), str(path))


def parse_json(text: str, name: str) -> Any:
    """The value of a JSON text; `name` is where it comes from, for errors."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # numbers of too many digits are no JSONDecodeError
        raise ValueError(
            f"{name} is not JSON ({error}); it may be cut short: copy or make it again"
        ) from error


def parse_json_lines(text: str, name: str) -> list[Any]:
    """The rows of JSON lines, blank lines aside; `name` is the file, for errors."""
    lines = enumerate(text.split("\n"), start=1)  # other separators may stand within a JSON text
    return [parse_json(line, f"line {number} of {name}") for number, line in lines if line.strip()]


def write_json(path: Path, content: Any) -> None:
    """Write JSON, atomically."""
    write_atomically(path, json.dumps(content, indent=2) + "\n")


@contextmanager
def expecting(what: str, path: Path) -> Iterator[None]:
    """Within the context, fields that are missing or of another kind are an error that names the file."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no {what} ({type(error).__name__}: {error}); make it again") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); copy or make it again") from error
