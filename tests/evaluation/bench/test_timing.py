from __future__ import annotations

import pytest
import torch

from evaluation.bench.floor import matrix_flops, matrix_rate
from evaluation.bench.timing import interleave_medians, timed

CPU = torch.device("cpu")


def test_candidates_take_turns_and_the_median_leaves_out_warmup() -> None:
    calls: list[str] = []
    seconds = {"a": iter([100.0, 1.0, 9.0, 2.0]), "b": iter([100.0, 5.0, 4.0, 6.0])}

    def candidate(name: str):
        def run() -> float:
            calls.append(name)
            return next(seconds[name])

        return run

    medians = interleave_medians({name: candidate(name) for name in "ab"}, 3)
    assert calls == ["a", "b"] * 4
    assert medians == {"a": 2.0, "b": 5.0}


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        interleave_medians({}, 0)


def test_more_work_takes_longer() -> None:
    small, large = torch.ones(8, 8), torch.ones(512, 512)
    medians = interleave_medians(
        {"small": timed(lambda: small @ small, CPU), "large": timed(lambda: large @ large, CPU)}, 3
    )
    assert medians["large"] > medians["small"] > 0


def test_products_are_counted_as_two_operations_per_multiply_add() -> None:
    assert matrix_flops(lambda: torch.ones(3, 4) @ torch.ones(4, 5)) == 2 * 3 * 4 * 5


def test_the_rate_of_this_machine_is_plausible() -> None:
    assert 1e8 < matrix_rate(torch.float32, CPU) < 1e15
