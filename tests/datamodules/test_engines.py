from __future__ import annotations

import os

import pytest

from datamodules.engines import Processes


@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_jobs(num_workers: int) -> None:
    assert list(Processes(num_workers)(abs, [-3, -1, -2])) == [3, 1, 2]
    assert list(Processes(num_workers)(abs, [])) == []


def test_a_process_that_is_killed_is_one_sentence() -> None:
    with pytest.raises(ValueError, match="one of 2 processes was killed, .*call again to go on"):
        list(Processes(2)(os._exit, [1, 1]))
