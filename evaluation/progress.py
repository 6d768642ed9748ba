"""Progress bars of commands: one for everything that is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import Progress, TaskID

__all__ = ["Report", "progress_bars", "silent"]

Report = Callable[[str, int, int], Any]
"""Called as ``progress(what, done, total)``."""


def silent(what: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def progress_bars() -> Iterator[Report]:
    """Within the context, what is reported is shown."""
    with Progress() as progress:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done)

        yield show
