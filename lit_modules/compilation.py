"""torch.compile, refused in one sentence where it can't work."""

from __future__ import annotations

import shutil

import torch
from torch import nn

__all__ = ["compile_in_place"]


def compile_in_place(*modules: nn.Module, device: torch.device) -> None:
    """Compile the forward passes of modules; their parameters keep their names.

    Every batch shape gets its own code, as there are only as many shapes as aspect ratios.
    """
    if device.type == "cpu" and not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        raise ValueError(
            "model.compile generates C++ on a CPU and found no compiler (c++, g++, clang++); "
            "install one or set model.compile to false"
        )
    for module in modules:
        module.compile(dynamic=False)
