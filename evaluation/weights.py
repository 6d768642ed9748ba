"""Weight files of scorers: found where the user has put them, never downloaded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["WeightFile", "WeightFinder"]

_VARIABLE = "INFINITY_WEIGHTS"


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file or directory that a scorer needs.

    Args:
        name: by which users give it: ``--weights NAME=PATH``.
        file: the published name of the file, or directory.
        source: where it is published.
        sha256: of the published file, if known; or its first digits.
    """

    name: str
    file: str
    source: str
    sha256: str = ""


@dataclass(frozen=True)
class WeightFinder:
    """Looks for a weight file: as given by its name, then under ``$INFINITY_WEIGHTS``, then in torch's cache.

    Args:
        given: paths by the weights' names.
    """

    given: Mapping[str, Path] = field(default_factory=dict)

    def find(self, weight: WeightFile) -> Path | None:
        """Its path, or None where it is not there; a path that was given has to exist."""
        if weight.name in self.given:
            path = Path(self.given[weight.name])
            if not path.exists():
                raise ValueError(f"--weights {weight.name}={path}: there is no such file")
            return path
        return next((path for path in _places(weight) if path.exists()), None)

    def require(self, weight: WeightFile) -> Path:
        """Its path; where it is missing, an error that says what to put where."""
        if (path := self.find(weight)) is not None:
            return path
        digest = f" (sha256 {weight.sha256})" if weight.sha256 else ""
        raise ValueError(
            f"{weight.file}{digest} is needed: get it from {weight.source} and pass --weights "
            f"{weight.name}=PATH, or put it at {_places(weight)[0]}"
        )


def _places(weight: WeightFile) -> tuple[Path, Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    ours = Path(os.environ.get(_VARIABLE, cache / "infinity")).expanduser()
    torch_home = Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser()
    return ours / weight.file, torch_home / "hub" / "checkpoints" / weight.file
