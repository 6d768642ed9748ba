"""Command line: ``python -m evaluation {run,sweep,score,list,compare,preference,report,..}``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.bench.command import bench_command
from evaluation.bench.parts import PARTS
from evaluation.commands import reconstruction_command, shapeseval_command
from evaluation.comparison.command import add_compare_arguments, compare_command
from evaluation.geneval.recorded import score_detections
from evaluation.preference_study.command import add_preference_arguments, preference_command
from evaluation.reports.command import add_report_arguments, report_command
from evaluation.reports.sweep_command import add_sweep_arguments, sweep_command
from evaluation.runner.command import (
    add_list_arguments,
    add_run_arguments,
    add_score_arguments,
    list_command,
    run_command,
    score_command,
)

EXAMPLES = """examples (of what `make demo` leaves behind):
  draw ShapesWorld's prompts with a model, score them and its tokenizer, write the report:
    python -m evaluation run --model runs/demo-basic-15/ar/export --data data/shapesworld_basic \\
        --output runs/scores --history vae=runs/demo-basic-15/vae ar=runs/demo-basic-15/ar

  draw the prompts of benchmarks and score them (again: goes on where it stopped), on 8 GPUs; score the same
  images with one more task, on a machine that has its weights but not the model:
    torchrun --nproc-per-node 8 -m evaluation run --model MODEL --tasks A,B --data DATA --output runs/scores
    python -m evaluation score runs/scores --tasks C --weights NAME=PATH

  draw with several settings, and see which is best:
    python -m evaluation sweep --model MODEL --tasks A --data DATA --guidance 2 3 4 --temperature 0.5 1 \\
        --output runs/sweep

  compare two runs prompt by prompt, as A and B, on the metrics that start with these words:
    python -m evaluation compare runs/scores runs/other-scores --only geneval clipscore

  let people choose between their images, and score what they saved:
    python -m evaluation preference build runs/scores runs/other-scores --output runs/study
    python -m evaluation preference score runs/study/votes-*.json

  draw them with the sampling command, then score its images (any PNG files with a manifest.jsonl of
  "file" and "prompt" or "prompt_id"):
    python -m infinity generate --prompts data/shapesworld_basic/prompts.jsonl --output runs/samples
    python -m evaluation shapeseval --world data/shapesworld_basic --images runs/samples \\
        --output runs/shapeseval

  one page about them, with training curves:
    python -m evaluation report runs/shapeseval --images runs/samples --output runs/page \\
        --history vae=runs/demo-basic-15/vae ar=runs/demo-basic-15/ar

  time the parts of training and sampling, next to the official code if you have a clone of it:
    python -m evaluation bench --official ../Infinity --rounds 5

  score your own pairs of images (manifest.jsonl with "original" and "reconstruction"):
    python -m evaluation reconstruction --images PAIRS --output runs/tokenizer
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description="Score images and write reports. Nothing is downloaded; missing weights are named.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)

    add_run_arguments(commands.add_parser("run", help="measure a saved pipeline, from prompts to report"))
    sweep = commands.add_parser(
        "sweep", help="run at several guidances and temperatures", conflict_handler="resolve"
    )
    add_sweep_arguments(sweep)
    add_score_arguments(commands.add_parser("score", help="score the images of a run without its model"))
    add_list_arguments(commands.add_parser("list", help="show what can be measured, and what it needs"))

    add_compare_arguments(commands.add_parser("compare", help="differences of two runs, with intervals"))
    add_preference_arguments(
        commands.add_parser("preference", help="let people choose between two runs, and score their votes")
    )

    one = commands.add_parser("shapeseval", help="score generated images on ShapesEval, with its baselines")
    one.add_argument("--world", type=Path, required=True, help="ShapesWorld data directory")
    one.add_argument("--images", type=Path, required=True, help="folder with manifest.jsonl")
    one.add_argument("--output", type=Path, required=True, help="where the report goes")
    one.add_argument("--reconstructions", type=Path, help="the ground truth through the tokenizer, likewise")
    one.add_argument("--splits", nargs="+", default=["id", "ood"], help="prompts to score (default: id ood)")
    one.add_argument("--per-task", type=int, help="only the first so many prompts of every task and level")
    one.add_argument("--lenient", action="store_true", help="allow extra objects, as GenEval does")
    one.add_argument("--seed", type=int, default=0, help="of shuffled prompts and of random samples shown")

    two = commands.add_parser("reconstruction", help="PSNR, SSIM, rFID and use of bits of a tokenizer")
    two.add_argument("--images", type=Path, required=True, help="folder with manifest.jsonl of pairs")
    two.add_argument("--output", type=Path, required=True, help="where the report goes")
    two.add_argument("--bits", type=Path, help=".npz with one bool array (N, D, h, w) per scale")
    two.add_argument("--inception", type=Path, help="torch-fidelity's Inception weights; else a stand-in")

    add_report_arguments(
        commands.add_parser("report", help="one page about evaluated runs, to compare them too")
    )

    three = commands.add_parser("bench", help="time parts of training and sampling, with floors and ratios")
    three.add_argument("--output", type=Path, default=Path("runs/bench"), help="default: runs/bench")
    three.add_argument("--parts", nargs="+", default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    three.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 4], help="default: 1 4")
    three.add_argument(
        "--precisions", nargs="+", default=["float32", "bfloat16"], choices=["float32", "bfloat16"]
    )
    three.add_argument("--rounds", type=int, default=5, help="timed rounds, of which the median counts")
    three.add_argument("--device", default="cpu", help="default: cpu")
    three.add_argument("--compiled", action="store_true", help="also with torch.compile")
    three.add_argument("--no-quantizers", dest="quantizers", action="store_false", help="leave those out")
    three.add_argument("--official", type=Path, metavar="DIR", help="clone of the official code, to compare")

    four = commands.add_parser("score-detections", help="GenEval's verdicts on recorded detections")
    four.add_argument(
        "path", type=Path, metavar="FILE.jsonl", help="tag, include, exclude, detections a line"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = vars(build_parser().parse_args(arguments))
    command = options.pop("command")
    run = {
        "run": run_command,
        "sweep": sweep_command,
        "score": score_command,
        "list": list_command,
        "compare": compare_command,
        "preference": preference_command,
        "shapeseval": shapeseval_command,
        "reconstruction": reconstruction_command,
        "report": report_command,
        "bench": bench_command,
        "score-detections": lambda path: "\n".join(map(json.dumps, score_detections(path))),
    }[command]
    try:
        if command in ("run", "sweep", "report"):
            options["history"] = _named_folders(options["history"])
        print(run(**options))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _named_folders(words: Sequence[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for word in words:
        name, folder = word.split("=", 1) if "=" in word else ("", word)
        if name in folders:
            raise ValueError(f"two of --history are called {name!r}; write NAME=DIR with different names")
        folders[name] = Path(folder)
    return folders


if __name__ == "__main__":
    main()
