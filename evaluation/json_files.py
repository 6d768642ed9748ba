"""JSON from files; what can't be read is an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["parse_json_lines", "read_json"]


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return _parse(path.read_text(encoding="utf-8"), str(path))


def parse_json_lines(text: str, name: str) -> list[Any]:
    """The rows of JSON lines; blank lines don't count, `name` is the file for errors."""
    lines = enumerate(text.splitlines(), start=1)
    return [_parse(line, f"line {number} of {name}") for number, line in lines if line.strip()]


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON ({error}); it may be cut short: make it again") from error
