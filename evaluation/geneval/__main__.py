"""``python -m evaluation.geneval``: verdicts in GenEval's format, and scores of T2I-CompBench."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluation.geneval.compbench import Mode, Named, numeracy_score, relation_in, spatial_score
from evaluation.geneval.official_results import official_lines
from evaluation.results import read_samples
from infinity.json_files import read_json_lines


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.geneval", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("results", help="print a run's verdicts as GenEval's script writes them")
    one.add_argument("run", type=Path, help="directory with samples.jsonl")
    one.add_argument("--task", default="geneval", help="whose verdicts (default: geneval)")
    two = commands.add_parser(
        "compbench",
        help="print a T2I-CompBench score per line of detections",
        description='A line has "detections" (class, box, score) in the detector\'s order and either '
        '"objects" (two names) with "prompt" for the relation, or "numbers" (by name).',
    )
    two.add_argument("path", type=Path, metavar="FILE.jsonl")
    two.add_argument("--mode", choices=["official", "fixed"], default="official", help="default: official")
    return parser


def compbench_scores(path: Path, mode: Mode) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_json_lines(path), start=1):
        try:
            found = [Named(one["class"], one["box"], one["score"]) for one in line["detections"]]
            if "numbers" in line:
                yield {"numeracy": numeracy_score(line["numbers"], found)}
            else:
                first, second = line["objects"]
                relation = relation_in(line["prompt"])
                yield {"spatial": spatial_score(first, relation, second, found, mode)}
        except (KeyError, TypeError) as error:
            raise ValueError(f"line {number} of {path} lacks {error}; see --help for its fields") from error


def main(arguments: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    try:
        if options.command == "results":
            lines = list(official_lines(read_samples(options.run), options.task))
            if not lines:
                raise ValueError(f"{options.run} has no verdicts of {options.task}; run that task first")
        else:
            lines = list(compbench_scores(options.path, options.mode))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    print("\n".join(map(json.dumps, lines)))


if __name__ == "__main__":
    main()
