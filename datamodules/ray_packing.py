"""The shard jobs as a Ray Data pipeline: many machines, or this one; needs the extra `ray`.

Every machine must see the images and OUT under the same paths (a shared file system) and have this package
installed. Scheduling, retries and node failures are Ray's: a job that runs twice finds its shard written.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

__all__ = ["RayData"]

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class RayData:
    """An engine (`engines.Engine`) that maps jobs with Ray Data, one block each.

    Args:
        address: of a running cluster (``auto``, ``host:6379``, ``ray://host:10001``); a local one of
            `num_workers` processes is started if not given, and ends with this process.
    """

    address: str | None = None
    num_workers: int = 1

    def __call__(self, function: Callable[[Job], Result], jobs: Sequence[Job], /) -> Iterator[Result]:
        if not jobs:
            return
        ray = self._connect()
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False  # there is one already
        context.execution_options.preserve_order = True
        rows = [{"job": pickle.dumps(job)} for job in jobs]
        pipeline = ray.data.from_items(rows, override_num_blocks=len(rows)).map(partial(_done, function))
        try:
            for row in pipeline.iter_rows():
                result, mistake = pickle.loads(row["done"])
                if mistake:
                    raise ValueError(mistake)
                yield result
        except ray.exceptions.RayError as error:
            first = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"a job failed on the cluster ({first}); call the command again to go on"
            ) from error

    def _connect(self) -> Any:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
            import ray.data
        except ModuleNotFoundError as error:
            raise ValueError("the ray engine needs Ray; install it with pip install -e '.[ray]'") from error
        if not ray.is_initialized():
            here: dict[str, Any] = {"num_cpus": max(1, self.num_workers), "include_dashboard": False}
            here |= {"_node_ip_address": "127.0.0.1"}  # no look at the network for an address
            for name in ("ray", "ray.data"):
                logging.getLogger(name).setLevel(logging.ERROR)
            try:
                ray.init(
                    self.address or "local",
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    **(here if self.address is None else {}),
                )
            except (ConnectionError, RuntimeError) as error:
                raise ValueError(f"no Ray cluster answers at {self.address} ({error})") from error
        return ray


def _done(function: Callable[[Any], Any], row: dict[str, bytes]) -> dict[str, bytes]:
    """Run a job; what a user can mend goes back as a sentence, as Ray would wrap the error in others."""
    try:
        done = (function(pickle.loads(row["job"])), "")
    except (OSError, ValueError) as error:
        done = (None, str(error))
    return {"done": pickle.dumps(done)}
