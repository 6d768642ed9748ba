"""Tensors recorded from the official implementation, with random weights: ``--recordings DIR``.

``manifest.json`` in that folder describes every file. Without the folder these tests are skipped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from safetensors.torch import load_file
from torch import Tensor

from tests.parity.listing import recordings_folder


class Recording(NamedTuple):
    """One file of recorded tensors."""

    meta: dict[str, Any]
    tensors: dict[str, Tensor]

    def state_dict(self) -> dict[str, Tensor]:
        """The official state dict, under its official keys."""
        return self.under("sd.")

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Tensors whose name starts with `prefix`, without it."""
        return {k.removeprefix(prefix): v for k, v in self.tensors.items() if k.startswith(prefix)}


class Recordings:
    """The folder; files are read when asked for, once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())
        self._files: dict[str, Recording] = {}

    def __getitem__(self, name: str) -> Recording:
        if name not in self._files:
            file = f"{name}.safetensors"
            meta = self.manifest["files"][file]["meta"]
            self._files[name] = Recording(meta, load_file(self.folder / file))
        return self._files[name]


@pytest.fixture(scope="session")
def recordings(pytestconfig: pytest.Config) -> Recordings:
    """``recordings["vae_d32"]`` is the :class:`Recording` of one file."""
    folder = recordings_folder(pytestconfig)
    if not (folder / "manifest.json").is_file():
        pytest.skip(f"no recorded tensors at {folder}; give their folder with --recordings DIR")
    return Recordings(folder)
