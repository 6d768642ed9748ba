"""The official implementation as a candidate, in a process of its own (see official_worker.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from evaluation.bench.timing import Run

__all__ = ["OfficialCode"]

_WORKER = Path(__file__).with_name("official_worker.py")


class OfficialCode:
    """Times parts of a checkout of the official repository. It waits idly while ours runs."""

    def __init__(self, checkout: Path) -> None:
        if not (checkout / "infinity" / "models" / "bitwise_self_correction.py").is_file():
            raise ValueError(
                f"{checkout} is no checkout of the official Infinity repository "
                "(infinity/models/bitwise_self_correction.py is not in it); pass the folder of a git clone"
            )
        self._process = subprocess.Popen(
            [sys.executable, str(_WORKER), str(checkout.resolve())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=checkout,
        )

    def run(self, **request: Any) -> Run:
        """A candidate for :func:`evaluation.bench.timing.interleave_medians`."""
        line = json.dumps(request) + "\n"

        def run() -> float:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(line)
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '{"error": "its process ended"}')
            if "error" in answer:
                raise RuntimeError(f"the official code can't run {request['part']!r}: {answer['error']}")
            return answer["seconds"]

        return run

    def close(self) -> None:
        self._process.communicate(timeout=30)
