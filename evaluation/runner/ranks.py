"""Processes that share the drawing, as ``torchrun`` starts them; they meet in the output folder only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Ranks", "one_process"]

T = TypeVar("T")

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Which of the processes this one is.

    Args:
        local: its number on its machine, which is that of its GPU.
    """

    rank: int = 0
    world_size: int = 1
    local: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"RANK must be in [0, WORLD_SIZE), got {self.rank} of {self.world_size}")

    @classmethod
    def from_environment(cls) -> Ranks:
        """As ``torchrun`` says it; one process by itself otherwise."""
        rank, world_size, local = (
            int(os.environ.get(name, default))
            for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        )
        return cls(rank=rank, world_size=world_size, local=local)

    @property
    def is_first(self) -> bool:
        """Whether it is the one that merges, scores and reports."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """What this process does of `items`."""
        return list(items[self.rank :: self.world_size])

    def device(self, name: str) -> str:
        """A device of its own where several GPUs are asked for by ``cuda``."""
        return f"cuda:{self.local}" if name == "cuda" and self.world_size > 1 else name

    def own(self, path: Path) -> Path:
        """A file that no other process writes; the first one has `path` itself."""
        return path if self.is_first else path.with_name(f"{path.stem}.rank{self.rank}{path.suffix}")


@contextmanager
def one_process() -> Iterator[None]:
    """Within the context, libraries that ask the environment see one process: they would leave data out."""
    hidden = {name: os.environ.pop(name) for name in _VARIABLES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
