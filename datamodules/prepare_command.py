"""``python -m datamodules prepare SOURCE OUT``: render or fetch a data set and pack it into shards."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from datamodules.command_line import command_parser, local_folder, told_result
from datamodules.packing import DatasetParts, Progress, pack_dataset
from datamodules.preview import tell_plan

__all__ = ["parser", "run"]

SOURCES = {
    # module:config,function; the function takes the config, and `packages` and `progress` if it fetches any
    "shapesworld": "datamodules.shapesworld:ShapesWorldConfig,shapesworld_dataset",
    "emoji": "datamodules.sources.emoji:EmojiConfig,emoji_dataset",
    "clipart": "datamodules.sources.clipart:ClipartConfig,clipart_dataset",
    "stamps": "datamodules.sources.stamps:StampsConfig,stamps_dataset",
    "flags": "datamodules.sources.flags:FlagsConfig,flags_dataset",
    "photographs": "datamodules.sources.photographs:PhotographsConfig,photographs_dataset",
}


class _AnySource(ArgumentParser):
    """Hands over to the parser of the source that the first argument, or a config file, names."""

    def parse_args(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> Namespace:
        arguments = list(args or ())
        if arguments[:1] in (["-h"], ["--help"]):
            return super().parse_args(arguments, *others, **options)
        named = bool(arguments) and not arguments[0].startswith("-")
        source = arguments.pop(0) if named else _source_of(arguments)
        if source not in SOURCES:
            raise ValueError(f"prepare takes one of {', '.join(SOURCES)}, got {source}")
        if arguments and not arguments[0].startswith("-"):
            arguments = ["--out", *arguments]
        return _source_parser(source).parse_args(arguments, *others, **options)


def parser() -> ArgumentParser:
    """Of any source: `prepare SOURCE --help` tells the options of one."""
    made = _AnySource(
        prog="python -m datamodules prepare",
        usage="%(prog)s SOURCE OUT [options]  or  %(prog)s --config FILE [options]",
        description=f"Render or fetch a data set and pack it into OUT. SOURCE is one of "
        f"{', '.join(SOURCES)}; the options of each are told by `prepare SOURCE --help`.",
        epilog="example: python -m datamodules prepare emoji data/emoji",
    )
    made.add_argument("--config", type=str, help="YAML file with `source`, `out` and the source's options")
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Prepare the data set; returns the number of samples per split."""
    config_type, make = _load(options.source)
    config = config_type(**{field.name: options[field.name] for field in dataclasses.fields(config_type)})
    out = local_folder(options.out)
    fetching: dict[str, Any] = {}
    if "packages" in options:
        packages = Path(options.packages) if options.packages else out.parent / "packages"
        fetching = {"packages": packages, "progress": progress}
    parts = make(config, **fetching)
    if options.dry_run:
        return tell_plan(parts, options.samples_per_shard)
    result = pack_dataset(
        out,
        parts,
        samples_per_shard=options.samples_per_shard,
        num_workers=options.num_workers,
        progress=progress,
    )
    return told_result(result)


def _load(source: str) -> tuple[type[Any], Callable[..., DatasetParts]]:
    module, _, names = SOURCES[source].partition(":")
    config_type, make = (getattr(importlib.import_module(module), name) for name in names.split(","))
    return config_type, make


def _source_parser(source: str) -> ArgumentParser:
    config_type, make = _load(source)
    made = command_parser(
        f"prepare {source}", f"Make the data set {source} in OUT.", f"prepare {source} data/{source}"
    )
    made.add_argument("--config", action="config", help="YAML file with these options")
    made.add_argument("--source", type=str, default=source, help="as config files name it")
    made.add_argument("--out", type=str, required=True, help="directory to write (or the first argument)")
    made.add_argument("--samples_per_shard", type=PositiveInt, default=2000)
    made.add_argument(
        "--dry_run", "--dry-run", action="store_true", help="tell what would be made; packages are fetched"
    )
    if "packages" in inspect.signature(make).parameters:
        made.add_argument("--packages", type=str, help="where packages are kept (default: OUT/../packages)")
    made.add_class_arguments(config_type, None, as_group=False)
    return made


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
