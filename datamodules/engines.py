"""Where jobs are run: in this process, in processes of this machine, or (`ray_packing`) on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Protocol, TypeVar

__all__ = ["Engine", "Processes"]

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
        # spawn: safe with the caller's threads, and the same on every platform
        with ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as pool:
            try:
                yield from pool.map(function, jobs)  # cancels what was not started when it is left early
            except BrokenProcessPool as error:
                raise ValueError(
                    f"one of {num_processes} processes was killed, perhaps for its memory; call again to go "
                    f"on, with a smaller num_workers"
                ) from error
