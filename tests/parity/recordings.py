"""Recordings of the official implementation: which there are, and which tests each of their tensors is for.

A folder holds ``manifest.json`` and safetensors files that it describes. Nothing else is assumed of a file
than the names of its tensors: what kind it is of, how many cases it has and how large they are follows.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

MANIFEST = "manifest.json"
# The tensor by which a case is known, and the test that its tensors are for. A case is what comes before.
_MARKS = {
    ".image": "tokenizer",
    ".z_in": "quantizer",
    ".x_BLC_wo_prefix": "self_correction",
    ".s0.raw_logits": "sampling",
}


class Part(NamedTuple):
    """Tensors of one file that one test uses up."""

    test: str
    file: str  # without its suffix
    prefix: str  # of the tensors' names
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.file}-{self.prefix.rstrip('.') or self.test}"


class Recordings:
    """A folder of recordings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, dict[str, Tensor]] = {}
        self.files: dict[str, dict[str, Any]] = {
            name.removesuffix(".safetensors"): entry
            for name, entry in json.loads((folder / MANIFEST).read_text())["files"].items()
        }

    def meta(self, file: str) -> dict[str, Any]:
        """What the manifest tells of a file."""
        return self.files[file].get("meta", {})

    def names(self, file: str) -> list[str]:
        """Names of a file's tensors; none if it can't be read (see :meth:`problem`)."""
        try:
            with safe_open(self.folder / f"{file}.safetensors", "pt") as opened:
                return list(opened.keys())
        except (OSError, SafetensorError):
            return []

    def problem(self, file: str) -> str | None:
        """Why no test can handle (all of) a file."""
        names = set(self.names(file))
        if not names:
            return "it can't be read"
        if missing := sorted(self.files[file].get("tensors", {}).keys() - names):
            return f"it lacks {len(missing)} tensors that the manifest lists, such as {missing[0]}"
        if strange := sorted(names.difference(*(part.names for part in self.parts_of(file)))):
            return f"no test is for {len(strange)} of its tensors, such as {strange[0]}"
        return None

    @cached_property
    def parts(self) -> list[Part]:
        return [part for file in self.files for part in self.parts_of(file)]

    def parts_of(self, file: str) -> list[Part]:
        """What a file holds, by the names of its tensors."""
        left = dict.fromkeys(self.names(file))

        def take(test: str, prefix: str) -> Part:
            part = Part(test, file, prefix, tuple(name for name in left if name.startswith(prefix)))
            for name in part.names:
                del left[name]
            return part

        parts: list[Part] = []
        for mark, kind in (
            ("sd.encoder.conv_in.conv.weight", "tokenizer"),
            ("sd.word_embed.weight", "transformer"),
        ):
            if mark in left:
                parts.append(take(f"{kind}_weights", "sd."))
        for mark, test in _MARKS.items():
            cases = [name.removesuffix(mark) for name in left if name.endswith(mark)]
            cases.sort(key=len, reverse=True)  # "r1.wide" before "r1", whose prefix fits its names too
            parts += [take("lookup_free" if case.startswith("lfq") else test, f"{case}.") for case in cases]
        if {"x_in", "logits"} <= left.keys():
            parts.append(take("transformer", ""))
        return parts

    def tensors(self, file: str) -> dict[str, Tensor]:
        """The tensors of a file, read once."""
        if file not in self._loaded:
            self._loaded[file] = load_file(self.folder / f"{file}.safetensors")
        return self._loaded[file]
