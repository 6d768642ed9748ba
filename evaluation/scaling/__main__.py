"""``python -m evaluation.scaling``: the scaling law of trained models, with intervals."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evaluation.scaling.law import Runs, bootstrap_law, error_of_the_largest
from infinity.json_files import read_json_lines

_FIELDS = ("params", "samples", "loss")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.scaling",
        description="Fit loss = E + A / params^alpha + B / samples^beta to runs, and print it as JSON. "
        "Losses compare under one tokenizer only.",
    )
    parser.add_argument(
        "path", type=Path, metavar="RUNS.jsonl", help='{"params", "samples", "loss"} a line and trained model'
    )
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    try:
        runs = _read_runs(options.path)
        _, intervals = bootstrap_law(runs, num_resamples=options.resamples, seed=options.seed)
        report = {
            "runs": len(runs.loss_R),
            **{name: {"value": one.value, "ci95": [one.low, one.high]} for name, one in intervals.items()},
            "relative_error_of_the_largest_model_left_out": _error_of_the_largest(runs),
        }
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print(json.dumps(report, indent=2))


def _read_runs(path: Path) -> Runs:
    rows = read_json_lines(path)
    try:
        columns = [np.array([float(row[name]) for row in rows]) for name in _FIELDS]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} needs numbers {', '.join(_FIELDS)} in every line: {error}") from error
    return Runs(*columns)


def _error_of_the_largest(runs: Runs) -> float | None:
    """None where too few smaller models are left."""
    try:
        return error_of_the_largest(runs)
    except ValueError:
        return None


if __name__ == "__main__":
    main()
