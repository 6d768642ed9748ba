"""Weights in several files with an index, as Hugging Face's libraries lay them out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

__all__ = ["INDEX", "WEIGHTS", "read_index", "read_json_object", "split_into_shards"]

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def split_into_shards(weights: Mapping[str, Tensor], max_shard_size: int) -> dict[str, list[str]]:
    """File names with the tensors of each, in order; only a single tensor exceeds `max_shard_size`."""
    groups: list[list[str]] = []
    size = 0
    for name, tensor in weights.items():
        if not groups or size + tensor.nbytes > max_shard_size:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += tensor.nbytes
    if len(groups) <= 1:
        return {WEIGHTS: list(weights)}
    return {f"model-{i:05d}-of-{len(groups):05d}.safetensors": names for i, names in enumerate(groups, 1)}


def read_index(path: Path) -> dict[str, list[str]]:
    """The shards that an index lists, with the tensors of each; names of files stay within the folder."""
    files = read_json_object(path).get("weight_map")
    if not isinstance(files, dict) or not files:
        raise ValueError(f"{path} has no 'weight_map': expected an index of shards")
    shards: dict[str, list[str]] = {}
    for name, file in files.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise ValueError(f"{path} must list files in its own folder, got {file!r}")
        shards.setdefault(file, []).append(name)
    return dict(sorted(shards.items()))


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:  # of JSON or of its letters
        raise ValueError(f"{path} is not JSON ({error}); copy it again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content
