"""``python -m evaluation scaling``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from evaluation.scaling.law import Runs, bootstrap_law, error_of_the_largest
from infinity.json_files import read_json_lines

__all__ = ["add_scaling_arguments", "scaling_command"]

_FIELDS = ("params", "samples", "loss")


def add_scaling_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Fit loss = E + A / params^alpha + B / samples^beta to runs, and print it as JSON. Losses compare "
        "under one tokenizer only."
    )
    parser.add_argument(
        "path", type=Path, metavar="RUNS.jsonl", help='{"params", "samples", "loss"} a line and trained model'
    )
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")


def scaling_command(path: Path, *, resamples: int, seed: int) -> str:
    """The law's numbers with their intervals, and how far the law of all smaller models is off."""
    if resamples < 1:
        raise ValueError(f"intervals need at least one resample, got --resamples {resamples}")
    runs = _read_runs(path)
    intervals = bootstrap_law(runs, num_resamples=resamples, seed=seed)
    report = {
        "runs": len(runs.loss_R),
        **{name: {"value": one.value, "ci95": [one.low, one.high]} for name, one in intervals.items()},
        "relative_error_of_the_largest_model_left_out": _error_of_the_largest(runs),
    }
    return json.dumps(report, indent=2)


def _read_runs(path: Path) -> Runs:
    rows = read_json_lines(path)
    try:
        columns = [np.array([float(row[name]) for row in rows]) for name in _FIELDS]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path} needs numbers {', '.join(_FIELDS)} in every line: {error}") from error
    return Runs(*columns)


def _error_of_the_largest(runs: Runs) -> float | None:
    """None where the smaller models say too little."""
    try:
        return error_of_the_largest(runs)
    except ValueError:
        return None
