"""Loading published weights: only tensors, and just those that a net has."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from infinity.checkpoints.keymap import describe_differences
from infinity.checkpoints.torch_files import read_checkpoint

__all__ = ["load_published", "read_published"]


def read_published(path: Path, unused: Collection[str] = ()) -> dict[str, Tensor]:
    """The state dict in a file, or in its ``state_dict``, without keys that are not needed."""
    if _is_program(path):
        raise ValueError(
            f"{path} is a TorchScript archive, as OpenAI publishes CLIP: a program, which is not run here; "
            "get the same weights as safetensors from the Hugging Face hub"
        )
    content = read_checkpoint(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if state is None or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no weights by name, as a state dict has them; get the file again")
    return {name: tensor for name, tensor in state.items() if name not in unused}


def load_published(net: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights in float32, every one of them, or say what does not fit."""
    if problem := describe_differences(state, net.state_dict()):
        raise ValueError(f"{path} is not the file that {type(net).__name__} needs: {problem}; get it again")
    with torch.no_grad():
        net.load_state_dict({name: tensor.float() for name, tensor in state.items()}, assign=True)


def _is_program(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())
