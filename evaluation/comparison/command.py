"""``python -m evaluation compare``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from evaluation.comparison.compare import compare_runs
from evaluation.comparison.markdown import render_comparison
from evaluation.statistics.bootstrap import NUM_RESAMPLES
from infinity.atomic import write_atomically

__all__ = ["add_compare_arguments", "compare_command"]


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("first", type=Path, metavar="A", help="directory with result.json")
    parser.add_argument("second", type=Path, metavar="B", help="likewise; differences are B minus A")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="METRIC", help="ids, or their beginnings such as geneval"
    )
    parser.add_argument("--output", type=Path, help="where comparison.md and comparison.json go")
    parser.add_argument("--resamples", type=int, default=NUM_RESAMPLES, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")


def compare_command(
    first: Path, second: Path, *, only: Sequence[str], output: Path | None, resamples: int, seed: int
) -> str:
    """The comparison as Markdown; written beside its JSON where there is an output."""
    comparison = compare_runs(first, second, only=only, num_resamples=resamples, seed=seed)
    text = render_comparison(comparison)
    if output is not None:
        write_atomically(output / "comparison.md", text)
        fields = json.dumps(comparison.to_dict(), indent=2, allow_nan=False, default=str)
        write_atomically(output / "comparison.json", fields + "\n")
    return text.rstrip("\n")
