"""``python -m datamodules index SHARDS``: index existing shards where they lie."""

from __future__ import annotations

from jsonargparse import ArgumentParser, Namespace

from datamodules.command_line import command_parser, told_result
from datamodules.indexing import Progress, index_directory

__all__ = ["parser", "run"]


def parser() -> ArgumentParser:
    """SHARDS, where the index goes and how to divide it."""
    made = command_parser(
        "index",
        "Index shards where they lie; nothing is rewritten.",
        "index data/cc3m --val_fraction 0.01",
    )
    made.add_argument(
        "shards",
        type=str,
        help="folder of shards or of one subfolder per split, here or at a URL (s3://, gs://, https://, ..), "
        "or a pattern: 'data/{00000..00331}.tar'",
    )
    made.add_argument("--out", type=str, help="where the index goes (default: beside the shards)")
    made.add_argument("--val_fraction", type=float, default=0.0, help="divide into train/ and val/")
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Index; returns the number of samples per split."""
    indices = index_directory(
        options.shards,
        out=options.out,
        val_fraction=options.val_fraction,
        num_workers=options.num_workers,
        progress=progress,
    )
    left_out = {split: [": ".join(item) for item in index.left_out] for split, index in indices.items()}
    return told_result(
        {"counts": {split: len(index) for split, index in indices.items()}, "left_out": left_out}
    )
