"""Weights in several files with an index, as Hugging Face's libraries lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from infinity.json_files import read_json_object

__all__ = ["INDEX", "WEIGHTS", "read_index", "split_into_shards"]

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
