from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from datamodules.engines import Processes
from datamodules.sample_files import each_chunk
from tests.static.project import ROOT

WORKING = """
from datamodules.engines import Processes
try:
    list(Processes(2)(exec, ["import time; print('begun', flush=True); time.sleep(60)"] * 6))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture
def working() -> Iterator[subprocess.Popen[str]]:
    """A process, the first of its group, with two that are at work."""
    command = [sys.executable, "-c", WORKING]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["begun\n"] * 2
        yield process


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_jobs(num_workers: int) -> None:
    assert list(Processes(num_workers)(abs, [-3, -1, -2])) == [3, 1, 2]
    assert list(Processes(num_workers)(abs, [])) == []


def test_a_process_that_is_killed_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*call again to go on"):
        list(Processes(2)(os._exit, [1, 1]))
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*call again to go on"):
        list(each_chunk(os._exit, [np.array(1)], num_workers=2))  # type: ignore[arg-type]


def test_ctrl_c_ends_all_processes_in_silence(working: subprocess.Popen[str]) -> None:
    os.killpg(working.pid, signal.SIGINT)
    assert working.communicate(timeout=20) == ("interrupted\n", "")


def test_processes_end_with_the_one_that_started_them_when_that_is_killed(
    working: subprocess.Popen[str],
) -> None:
    working.kill()
    try:
        working.communicate(timeout=20)  # their output ends when the last one does
    except subprocess.TimeoutExpired:
        os.killpg(working.pid, signal.SIGKILL)
        pytest.fail("processes outlive the one that started them")
