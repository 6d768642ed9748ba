"""Reading checkpoints of others: torch files, safetensors files and folders of shards, none of them trusted.

Only tensors and plain values are unpickled (``weights_only``), so that no code in a file is ever executed.
Numbers of NumPy, which every official training run records beside its weights, are passed over.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from infinity.checkpoints.folders import describe_folder
from infinity.checkpoints.shards import INDEX, read_index

__all__ = ["read_checkpoint"]

_TORCH_INDEX = "pytorch_model.bin.index.json"
_NUMPY = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")


class _Ignored:
    """Takes the place of a number of NumPy, so that nothing of NumPy is called by a file."""

    def __init__(self, *fields: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(source: Path) -> Any:
    """The content of a file, or the state dict of a folder of shards.

    Tensors are mapped into memory where the format allows it: they are read when they are used.
    """
    if source.is_dir():
        return _read_shards(source)
    if not source.is_file():
        raise FileNotFoundError(f"there is no file or folder {source}")
    return _read_file(source)


def _read_file(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if is_zip := zipfile.is_zipfile(path):
            _check_members(path)
        ignored = torch.serialization.safe_globals([(_Ignored, name) for name in _NUMPY])
        with ignored, warnings.catch_warnings(action="ignore"):  # about what it refuses in the end
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except Exception as error:  # whatever a damaged file makes its reader raise
        if isinstance(error, pickle.UnpicklingError) and (found := re.search(r"GLOBAL ([\w.]+)", str(error))):
            raise ValueError(
                f"{path} holds Python objects ({found[1]}) besides tensors; nothing was executed, but it "
                "can't be read: save the state dict alone, where you trust the file"
            ) from error
        raise ValueError(
            f"{path} is damaged, truncated or no checkpoint ({_reason(error):.120}); copy it again"
        ) from error


def _check_members(path: Path) -> None:
    """Compare what a ZIP file stores with its checksums, which nobody does who maps it into memory."""
    with zipfile.ZipFile(path) as file:
        for member in file.infolist():
            # torch compresses nothing, and can be told to compute no checksums
            if member.compress_type == zipfile.ZIP_STORED and member.CRC:
                with file.open(member) as opened:
                    while opened.read(1 << 20):
                        pass


def _reason(error: Exception) -> str:
    """The telling line of an error: torch explains itself at length."""
    text = str(error).rpartition("WeightsUnpickler error:")[2].strip()
    return text.partition("\n")[0] or type(error).__name__


def _read_shards(folder: Path) -> dict[str, Any]:
    index = next((folder / name for name in (INDEX, _TORCH_INDEX) if (folder / name).is_file()), None)
    if index is None:
        held = describe_folder(folder) or f"no index of shards ({INDEX} or {_TORCH_INDEX})"
        raise ValueError(f"{folder} holds {held}; name a file, or a folder of shards, of official weights")
    shards = read_index(index)
    if missing := [name for name in shards if not (folder / name).is_file()]:
        raise FileNotFoundError(
            f"{folder} holds no {', '.join(missing)}, listed in {index.name}; copy it again"
        )
    state: dict[str, Any] = {}
    for name, keys in shards.items():
        content = _read_file(folder / name)
        if not isinstance(content, dict) or content.keys() != set(keys):
            raise ValueError(f"{folder / name} does not hold what {index.name} lists for it; copy both again")
        state |= content
    return state
