"""``python -m datamodules pack IN OUT``: make a data set of a user's own images and captions."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import ClosedUnitInterval

from datamodules.columns import ColumnsAsked
from datamodules.command_line import command_parser, local_folder, told_result
from datamodules.engines import Engine, Processes
from datamodules.folder import folder_dataset
from datamodules.holdout import VAL_FRACTION
from datamodules.packing import DatasetParts, Progress, pack_dataset
from datamodules.preview import refuse_if_hopeless, tell_plan, try_samples
from datamodules.shard_dataset import index_user_shards, tell_shards
from datamodules.table_dataset import table_dataset
from datamodules.user_data import Kind, UserData, recognise

__all__ = ["parser", "run"]

_OF_TABLES = ("images", "image_column", "caption", "key_column", "split_column")
_OF_IMAGES = ("max_side", "samples_per_shard")
_DESCRIPTION = """Make a data set of your own images and captions. IN is one of
(1) a folder of images: the caption of cat.jpg is in cat.txt, or under "caption" in cat.json;
(2) a table, CSV, TSV, JSON lines or Parquet, or a folder of them: a column names the images, or, in Parquet,
holds them; others hold captions; the official Infinity jsonl format is recognised;
(3) a folder or URL of WebDataset / img2dataset shards, which stay where they are: OUT gets an index.
Images keep their bytes; unusable ones are left out and named. An interrupted run goes on if called again."""


def parser() -> ArgumentParser:
    """IN, OUT, what IN's columns mean, and how to divide it."""
    made = command_parser(
        "pack",
        _DESCRIPTION,
        "pack photos.csv data/mine --images ~/photos --caption short_caption long_caption",
    )
    made.add_argument("data", metavar="IN", type=str, help="folder, table, or folder or URL of shards")
    made.add_argument("out", metavar="OUT", type=str, help="directory to write")
    made.add_argument("--dry_run", "--dry-run", action="store_true", help="tell what would be done")
    made.add_argument("--kind", type=Kind | None, help="what IN is, where a folder holds several of them")
    made.add_argument(
        "--val_fraction", type=float | None, help=f"share of held-out images (default: {VAL_FRACTION})"
    )
    made.add_argument(
        "--max_left_out", type=ClosedUnitInterval, default=0.1, help="share that may be unusable"
    )
    made.add_argument("--samples_per_shard", type=int | None, help="default: 2000")
    made.add_argument("--max_side", type=int | None, help="make larger images smaller, to this longer side")
    made.add_argument("--images", type=str | None, help="folder of a table's images (default: the table's)")
    made.add_argument("--image_column", type=str | None, help="column of images (default: by usual names)")
    made.add_argument("--caption", type=str, nargs="+", help="columns of captions, the main one first")
    made.add_argument("--key_column", type=str | None, help="column of unique names")
    made.add_argument("--split_column", type=str | None, help="column of splits, instead of --val_fraction")
    made.add_argument("--engine", choices=("local", "ray"), default="local", help="what runs the jobs")
    made.add_argument(
        "--ray_address", "--ray-address", type=str | None, help="cluster (default: one on this machine)"
    )
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Pack, or tell what would be done; returns the number of samples per split."""
    data = recognise(options.data, options.kind)
    _refuse_unused(options, data)
    sys.stderr.write(f"{options.data} is {data.told}\n")
    out, engine = local_folder(options.out), _engine(options)
    if data.kind == "shards":
        if options.dry_run:
            return tell_shards(data.place, options.val_fraction)
        result = index_user_shards(
            data.place,
            out,
            options.val_fraction,
            max_left_out=options.max_left_out,
            engine=engine,
            progress=progress,
        )
        return told_result(result)
    parts = _parts(options, data, progress)
    if "columns" in parts.description:
        sys.stderr.write(f"columns: {_told_columns(parts)}\n")
    samples_per_shard = options.samples_per_shard or 2000
    if options.dry_run:
        return tell_plan(parts, samples_per_shard)
    for split, source in parts.splits.items():
        refuse_if_hopeless(split, try_samples(source))
    result = pack_dataset(
        out,
        parts,
        samples_per_shard=samples_per_shard,
        max_left_out=options.max_left_out,
        engine=engine,
        progress=progress,
    )
    return told_result(result)


def _parts(options: Namespace, data: UserData, progress: Progress) -> DatasetParts:
    if data.kind == "folder":
        fraction = VAL_FRACTION if options.val_fraction is None else options.val_fraction
        return folder_dataset(Path(data.place), fraction, max_side=options.max_side)
    asked = ColumnsAsked(
        image=options.image_column,
        captions=tuple(options.caption or ()),
        key=options.key_column,
        split=options.split_column,
    )
    return table_dataset(
        data.tables,
        asked,
        images=Path(options.images) if options.images else None,
        val_fraction=options.val_fraction,
        max_side=options.max_side,
        progress=progress,
    )


def _told_columns(parts: DatasetParts) -> str:
    columns = dict(parts.description["columns"])
    captions = columns.pop("captions")
    named = [f"{what} = {name}" for what, name in columns.items()]
    named += [f"caption = {', '.join(captions.values())}"]
    return f"{', '.join(named)}; the others go into the .json"


def _engine(options: Namespace) -> Engine:
    if options.engine == "local":
        return Processes(options.num_workers)
    from datamodules.ray_packing import RayData

    return RayData(options.ray_address, options.num_workers)


def _refuse_unused(options: Namespace, data: UserData) -> None:
    """An option that would change nothing is a mistake."""
    unused = {"folder": _OF_TABLES, "shards": (*_OF_TABLES, *_OF_IMAGES), "table": ()}[data.kind]
    for name in unused:
        if options[name] is not None:
            raise ValueError(f"--{name} means nothing for {options.data}, which is {data.told}")
    if options.ray_address and options.engine != "ray":
        raise ValueError("--ray_address needs --engine ray")
    for name in ("samples_per_shard", "max_side"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"{name} must be at least 1, got {options[name]}")
