"""Command line: ``python -m evaluation COMMAND``.

The module of a command NAME has ``add_NAME_arguments(parser)`` and ``NAME_command(**options)``, which returns
what to print. No other is imported, so that help is quick and packages are missed only where they are needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from infinity.folders import check_folder

__all__ = ["main"]

_COMMANDS = {  # module, what it does
    "run": ("runner.command", "measure a saved pipeline, from prompts to report"),
    "sweep": ("reports.sweep_command", "run at several guidances and temperatures"),
    "score": ("runner.command", "score the images of a run without its model"),
    "list": ("runner.command", "show what can be measured, and what it needs"),
    "compare": ("comparison.command", "differences of two runs, with intervals"),
    "preference": (
        "preference_study.command",
        "let people choose between two runs, and score their votes",
    ),
    "shapeseval": ("commands", "score generated images on ShapesEval, with its baselines"),
    "reconstruction": ("commands", "PSNR, SSIM, rFID and use of bits of a tokenizer"),
    "report": ("reports.command", "one page about evaluated runs, to compare them too"),
    "bench": ("commands", "time parts of training and sampling, with floors and ratios"),
    "score-detections": ("geneval.recorded", "GenEval's verdicts on recorded detections"),
    "scaling": ("scaling.command", "the scaling law of trained models, with intervals"),
}
_FOLDERS = ("cache", "output", "tensorboard")  # options that name one to write to

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

  fit the scaling law of trained models ("params", "samples" and "loss" a line), and judge recorded detections
  as GenEval does:
    python -m evaluation scaling runs.jsonl
    python -m evaluation score-detections detections.jsonl

  time the parts of training and sampling, next to the official code if you have a clone of it:
    python -m evaluation bench --official ../Infinity --rounds 5

  score your own pairs of images (manifest.jsonl with "original" and "reconstruction"):
    python -m evaluation reconstruction --images PAIRS --output runs/tokenizer
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run a command; a user's mistake ends it with one sentence and status 1."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description="Score images and write reports. Nothing is downloaded; missing weights are named.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (path, summary) in _COMMANDS.items():
        # a sweep has other options of two names
        command = commands.add_parser(name, help=summary, conflict_handler="resolve")
        if words[:1] == [name]:
            function, module = name.replace("-", "_"), _import(f"evaluation.{path}")
            getattr(module, f"add_{function}_arguments")(command)
            command.set_defaults(run=getattr(module, f"{function}_command"))
    options = vars(parser.parse_args(words))
    run = options.pop("run")
    del options["command"]
    try:
        for name in _FOLDERS:
            if options.get(name) is not None:
                check_folder(options[name])
        if "history" in options:
            options["history"] = _named_folders(options["history"])
        print(run(**options))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("evaluation", "infinity"):
            raise
        sys.exit(f"error: evaluation needs the package {error.name}: pip install 'infinity-suite[eval]'")


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
