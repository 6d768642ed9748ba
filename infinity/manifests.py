"""What the sampling command reads and leaves behind: prompt files, and a manifest of its images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TextIO

from infinity.json_files import parse_json

__all__ = ["finished_images", "open_manifest", "read_manifest", "read_prompts"]

_NAME = "manifest.jsonl"


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: one a line, or (``.jsonl``) JSON objects that have a "prompt"."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no prompt file {path}")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as such") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), start=1)]
    read = _read_json if path.suffix == ".jsonl" else lambda _, line: line
    prompts = [read(f"{path}, line {number}", line) for number, line in lines if line]
    if not prompts:
        raise ValueError(f"{path} holds no prompt; write one per line")
    return prompts


def _read_json(place: str, line: str) -> str:
    row = parse_json(line, place)
    prompt = row.get("prompt") if isinstance(row, dict) else None
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f'{place} must be a JSON object with a text "prompt", got {line[:60]}')
    return prompt


def read_manifest(directory: Path) -> dict[str, dict[str, Any]]:
    """The last row about every file of a folder; a row that a kill cut short is passed over."""
    rows: dict[str, dict[str, Any]] = {}
    path = directory / _NAME
    for line in path.read_text("utf-8").split("\n") if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict) or not row.keys() >= {"file", "prompt", "seed"}:
            raise ValueError(
                f"{path} is no manifest of drawn images: expected rows with file, prompt and seed, got "
                f"{line[:60]}; choose another --output"
            )
        rows[str(row["file"])] = row
    return rows


def open_manifest(directory: Path, name: str = _NAME) -> TextIO:
    """Open the manifest to append rows; a last row that a kill cut short is removed first."""
    with open(directory / name, "ab+") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
    return open(directory / name, "a", encoding="utf-8")


def finished_images(directory: Path, run: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Prompt and seed of the images that a folder holds; they must come from the same `run`."""
    run = json.loads(json.dumps(run))  # tuples become lists, as in the file
    rows = read_manifest(directory)
    for name, row in rows.items():
        other = sorted(key for key, value in run.items() if row.get(key) != value)
        if other:
            raise ValueError(
                f"{directory} holds images of another model or other settings ({name}: {', '.join(other)}); "
                "choose another --output"
            )
    return {name: (row["prompt"], row["seed"]) for name, row in rows.items() if (directory / name).is_file()}
