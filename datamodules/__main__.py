"""Make data sets.

  python -m datamodules prepare shapesworld OUT   render ShapesWorld, the embedded data set
  python -m datamodules prepare emoji OUT         fetch 3D emoji and put them on backgrounds (needs npm)
  python -m datamodules prepare --config FILE     as a YAML file says (its `source` names one of the above)
  python -m datamodules pack IN OUT               pack a folder of images with captions beside them
  python -m datamodules index DIR                 index existing WebDataset / img2dataset shards

Each command explains its options with --help, and can be interrupted and called again.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from datamodules.folder import folder_dataset
from datamodules.packing import index_directory, pack_dataset

_SOURCES = ("shapesworld", "emoji")
_EXAMPLES = {
    "shapesworld": "prepare shapesworld data/full --tier full --size 128 --num_train 100000",
    "emoji": "prepare emoji data/emoji --size 64",
    "pack": "pack ~/pictures data/mine --val_fraction 0.02",
    "index": "index data/cc3m --val_fraction 0.01",
}


class _Bars:
    """A progress bar per step, on stderr."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.progress = Progress(*columns, console=Console(stderr=True))
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self.tasks:
            self.tasks[what] = self.progress.add_task(what, total=total)
        self.progress.advance(self.tasks[what], done)


def _parser(command: str, description: str) -> ArgumentParser:
    example = f"example: python -m datamodules {_EXAMPLES[command.split()[-1]]}"
    parser = ArgumentParser(prog=f"python -m datamodules {command}", description=description, epilog=example)
    parser.add_argument("--num_workers", type=int, default=os.cpu_count() or 1, help="processes")
    return parser


def _prepare(source: str, arguments: list[str], bars: _Bars) -> dict[str, Any]:
    # here, as other commands need no OpenCV
    from datamodules.emoji import EmojiConfig, emoji_dataset
    from datamodules.shapesworld.dataset import ShapesWorldConfig, shapesworld_dataset

    config_type = EmojiConfig if source == "emoji" else ShapesWorldConfig
    parser = _parser(f"prepare {source}", f"Make the data set {source} and pack it into OUT.")
    parser.add_argument("--config", action="config", help="YAML file with these options")
    parser.add_argument("--source", type=str, default=source, help="as config files name it")
    parser.add_argument("--out", type=str, required=True, help="directory to write (or the first argument)")
    parser.add_argument("--samples_per_shard", type=int, default=2000)
    if source == "emoji":
        parser.add_argument("--packages", type=str, help="where packages are kept (default: OUT/../packages)")
    parser.add_class_arguments(config_type, None, as_group=False)
    if arguments and not arguments[0].startswith("-"):
        arguments = ["--out", *arguments]
    options = parser.parse_args(arguments)
    values = {field.name: options[field.name] for field in dataclasses.fields(config_type)}
    out = Path(options.out)
    if source == "emoji":
        packages = Path(options.packages) if options.packages else out.parent / "packages"
        parts = emoji_dataset(EmojiConfig(**values), packages)
    else:
        parts = shapesworld_dataset(ShapesWorldConfig(**values))
    return pack_dataset(
        out,
        parts,
        samples_per_shard=options.samples_per_shard,
        num_workers=options.num_workers,
        progress=bars,
    )


def _pack(arguments: list[str], bars: _Bars) -> dict[str, Any]:
    parser = _parser("pack", 'Pack captioned images: cat.jpg + cat.txt, or "caption" in cat.json.')
    parser.add_argument("folder", type=str, help="images, also in subfolders")
    parser.add_argument("out", type=str, help="directory to write")
    parser.add_argument("--val_fraction", type=float, default=0.02, help="share of held-out images")
    parser.add_argument("--samples_per_shard", type=int, default=2000)
    parser.add_argument("--max_left_out", type=float, default=0.1, help="share that may be unusable")
    options = parser.parse_args(arguments)
    return pack_dataset(
        Path(options.out),
        folder_dataset(Path(options.folder), options.val_fraction),
        samples_per_shard=options.samples_per_shard,
        max_left_out=options.max_left_out,
        num_workers=options.num_workers,
        progress=bars,
    )


def _index(arguments: list[str], bars: _Bars) -> dict[str, Any]:
    parser = _parser("index", "Index shards where they lie; nothing is rewritten.")
    parser.add_argument("directory", type=str, help="folder of shards, or of one subfolder per split")
    parser.add_argument("--val_fraction", type=float, default=0.0, help="divide into train/ and val/")
    options = parser.parse_args(arguments)
    indices = index_directory(
        Path(options.directory),
        val_fraction=options.val_fraction,
        num_workers=options.num_workers,
        progress=bars,
    )
    left_out = {split: [": ".join(item) for item in index.left_out] for split, index in indices.items()}
    return {"counts": {split: len(index) for split, index in indices.items()}, "left_out": left_out}


def _source_of(arguments: list[str]) -> str:
    """The source that the first config file among the arguments names."""
    for place, argument in enumerate(arguments):
        flag, _, path = argument.partition("=")
        if flag == "--config":
            path = path or "".join(arguments[place + 1 : place + 2])
            try:
                config = yaml.safe_load(Path(path).read_text("utf-8")) or {}
            except yaml.YAMLError as error:
                raise ValueError(f"{path} is no YAML ({' '.join(str(error).split())})") from error
            if not isinstance(config, dict):
                raise ValueError(f"{path} must hold options by name, got a {type(config).__name__}")
            return str(config.get("source"))
    return "none"


def main(arguments: list[str]) -> int:
    """Run a command; errors that a user can mend are one sentence on stderr."""
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help"):
        print(__doc__)
        return 0
    bars = _Bars()
    try:
        with bars.progress:
            match command:
                case "prepare":
                    named = bool(rest) and not rest[0].startswith("-")
                    source = rest.pop(0) if named else _source_of(rest)
                    if source not in _SOURCES:
                        raise ValueError(f"prepare takes one of {', '.join(_SOURCES)}, got {source}")
                    result = _prepare(source, rest, bars)
                case "pack":
                    result = _pack(rest, bars)
                case "index":
                    result = _index(rest, bars)
                case _:
                    raise ValueError(f"the commands are prepare, pack and index, got {command!r}")
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for split, causes in result["left_out"].items():
        for cause in causes:
            print(f"left out of {split}: {cause}", file=sys.stderr)
    print(", ".join(f"{split}: {count} samples" for split, count in result["counts"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
