"""``python -m evaluation preference {build,score}``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evaluation.comparison.markdown import render_table
from evaluation.results import Result
from infinity.atomic import write_atomically

__all__ = ["add_preference_arguments", "preference_command"]


def add_preference_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="step", required=True)
    build = steps.add_parser("build", help="make the page on which people choose between two runs")
    build.add_argument(
        "first", type=Path, metavar="A", help="output of `run --tasks`, or of infinity generate"
    )
    build.add_argument("second", type=Path, metavar="B", help="likewise, of the same prompts")
    build.add_argument("--output", type=Path, required=True, help="where page/ and key.json go")
    build.add_argument("--names", nargs=2, metavar=("A", "B"), help="of the runs (default: their folders')")
    build.add_argument("--prompt-set", help="only this one of the runs' prompt sets")
    build.add_argument("--limit", type=int, metavar="N", help="only N pairs, drawn at random")
    build.add_argument("--title", help="of the page")
    build.add_argument("--question", help="that raters answer")
    build.add_argument("--seed", type=int, default=0, help="of sides and order (default: 0)")
    score = steps.add_parser("score", help="win rates, agreement and ratings from saved votes")
    score.add_argument("votes", type=Path, nargs="+", metavar="VOTES.json", help="what raters saved")
    score.add_argument(
        "--key", type=Path, nargs="+", help="key.json of every study (default: beside the votes, or above)"
    )
    score.add_argument("--output", type=Path, help="where preference.md and result.json go")
    score.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")


def preference_command(step: str, **options: Any) -> str:
    return build_command(**options) if step == "build" else score_command(**options)


def build_command(
    first: Path, second: Path, output: Path, names: Sequence[str] | None, **options: Any
) -> str:
    from evaluation.preference_study.build import KEY, StudyOptions, build_study

    a, b = names or (first.resolve().name, second.resolve().name)
    given = {name: value for name, value in options.items() if value is not None}
    page = build_study(first, second, output, StudyOptions(names=(a, b), **given))
    return (
        f"{page}\nRaters get the folder {page.parent}; keep {output / KEY}, which says whose image is where."
    )


def score_command(votes: Sequence[Path], key: Sequence[Path] | None, output: Path | None, seed: int) -> str:
    from evaluation.preference_study.summary import summarize_votes
    from evaluation.preference_study.votes import find_keys, read_votes

    found = read_votes(votes, key or find_keys(votes))
    result = summarize_votes(found, name="preference" if output is None else output.name, seed=seed)
    text = _markdown(result)
    if output is not None:
        write_atomically(output / "preference.md", text + "\n")
        result.save(output)
    return text


def _markdown(result: Result) -> str:
    lines = [f"# {result.name}"]
    for title, table in result.tables.items():
        rows = [[_cell(cell) for cell in row] for row in table.rows]
        lines += ["", f"## {title}", "", *render_table(table.columns, rows)]
    for caveat in result.config["caveats"]:
        lines += ["", caveat]
    return "\n".join(lines)


def _cell(value: str | float | int | None) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return "" if value is None else str(value)
