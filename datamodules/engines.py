"""Where jobs are run: in this process, in processes of this machine, or (`ray_packing`) on a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

__all__ = ["Engine", "Processes", "process_pool"]

Job = TypeVar("Job")
Result = TypeVar("Result")


class Engine(Protocol):
    """Applies a function of some module to picklable jobs; the results come in the order of the jobs."""

    def __call__(self, function: Callable[[Job], Result], jobs: Sequence[Job], /) -> Iterator[Result]: ...


@dataclass(frozen=True)
class Processes:
    """Processes of this machine; with one the calling process does the work."""

    num_workers: int = 1

    def __call__(self, function: Callable[[Job], Result], jobs: Sequence[Job], /) -> Iterator[Result]:
        num_processes = min(self.num_workers, len(jobs))
        if num_processes <= 1:
            yield from map(function, jobs)
            return
        with process_pool(num_processes) as pool:
            yield from pool.map(function, jobs)


@contextmanager
def process_pool(
    num_processes: int, initialize: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with this one, however it ends; jobs that were not started are dropped on an error.

    Args:
        initialize: called in every process at its start, with the `arguments`.
    """
    # spawn: safe with the caller's threads, and the same on every platform
    with ProcessPoolExecutor(num_processes, get_context("spawn"), _start, (initialize, *arguments)) as pool:
        try:
            yield pool
        except BrokenProcessPool as error:
            raise ValueError(
                f"one of {num_processes} processes was killed, perhaps for its memory; call again to go "
                f"on, with a smaller num_workers"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _start(initialize: Callable[..., None] | None, *arguments: Any) -> None:
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:  # as in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C, which reaches it too, ends it in silence
    Thread(target=_end_with_parent, daemon=True).start()
    if initialize is not None:
        initialize(*arguments)


def _end_with_parent() -> None:
    """After `kill -9` of its parent, a process would wait for jobs for ever."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
