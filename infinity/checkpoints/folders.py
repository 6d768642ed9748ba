"""Recognise what a foreign folder holds by the files that other libraries write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from infinity.json_files import read_json_object

__all__ = ["describe_folder"]


def describe_folder(folder: Path) -> str | None:
    """What a folder holds, as part of a sentence; None if none of its files tells."""
    if all((folder / part / "config.json").is_file() for part in ("vae", "transformer")):
        return "a saved pipeline, of which vae/ and transformer/ are the models"
    if (folder / ".metadata").is_file():
        return "a training checkpoint in shards"
    if (folder / "model_index.json").is_file():
        return f"a pipeline of diffusers{_names(folder / 'model_index.json', '_class_name')}"
    if (folder / "config.json").is_file():
        config = folder / "config.json"
        if names := _names(config, "_class_name"):
            return f"a model of diffusers{names}"
        if names := _names(config, "model_type", "architectures"):
            return f"a model of transformers{names}"
    return None


def _names(path: Path, *keys: str) -> str:
    """The texts under some keys of a JSON file, in parentheses."""
    content = read_json_object(path)
    values: list[Any] = []
    for key in keys:
        value = content.get(key)
        values += value if isinstance(value, list) else [value]
    names = [value for value in values if isinstance(value, str)]
    return f" ({', '.join(names):.80})" if names else ""
