"""``python -m datamodules pack IN OUT``: pack a user's own images and captions into shards."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from datamodules.command_line import command_parser, told_result
from datamodules.folder import folder_dataset
from datamodules.packing import Progress, pack_dataset

__all__ = ["parser", "run"]


def parser() -> ArgumentParser:
    """IN, OUT and how to divide."""
    made = command_parser(
        "pack",
        'Pack captioned images: cat.jpg + cat.txt, or "caption" in cat.json.',
        "pack ~/pictures data/mine --val_fraction 0.02",
    )
    made.add_argument("folder", type=str, help="images, also in subfolders")
    made.add_argument("out", type=str, help="directory to write")
    made.add_argument("--val_fraction", type=float, default=0.02, help="share of held-out images")
    made.add_argument("--samples_per_shard", type=int, default=2000)
    made.add_argument("--max_left_out", type=float, default=0.1, help="share that may be unusable")
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Pack; returns the number of samples per split."""
    result = pack_dataset(
        Path(options.out),
        folder_dataset(Path(options.folder), options.val_fraction),
        samples_per_shard=options.samples_per_shard,
        max_left_out=options.max_left_out,
        num_workers=options.num_workers,
        progress=progress,
    )
    return told_result(result)
