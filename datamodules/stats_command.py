"""``python -m datamodules stats OUT``: what a data set holds, and what a resolution would make of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np
from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import NonNegativeFloat, NonNegativeInt

from datamodules.command_line import command_parser, local_folder
from datamodules.duplicates import check_distance
from datamodules.packing import Progress
from datamodules.splits import dataset_splits
from datamodules.storage import join
from infinity.atomic import write_atomically
from infinity.schedules import ASPECT_RATIOS, Resolution

__all__ = ["parser", "run"]


def parser() -> ArgumentParser:
    """OUT, a resolution, and how much to read."""
    made = command_parser(
        "stats",
        "Sizes, aspect ratios, crop loss, captions and duplicates: a table, and OUT/stats with JSON, plots "
        "and a page to look at. Only headers and captions are read, unless --duplicates is given.",
        "stats data/mine --duplicates --resolution.pixels 0.25M",
    )
    made.add_argument("root", type=str, help="OUT: data set directory, or its URL with --report")
    made.add_argument("--report", type=str, help="folder to write (default: OUT/stats)")
    made.add_argument("--duplicates", action="store_true", help="decode all images; find what is there twice")
    made.add_argument(
        "--max_distance", type=NonNegativeInt, default=3, help="of perceptual hashes that look alike, in bits"
    )
    made.add_argument(
        "--max_color", type=NonNegativeFloat, default=6.0, help="of color thumbnails, in steps of 255"
    )
    made.add_argument(
        "--num_decoded", type=NonNegativeInt, default=256, help="images per split to try without --duplicates"
    )
    made.add_argument(
        "--max_captions", type=NonNegativeInt, default=1_000_000, help="samples per split to read captions of"
    )
    made.add_class_arguments(Resolution, "resolution", help="the image shapes, as a training config has them")
    made.set_defaults({"resolution.aspect_ratios": ASPECT_RATIOS})
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Measure all splits; returns the tables."""
    # matplotlib and jinja2 come with the extra `data`
    from datamodules.statistics import (
        DatasetReport,
        SplitReport,
        draw_plots,
        find_duplicates,
        galleries,
        measure_images,
        read_caption_lengths,
        read_pixels,
        render_page,
    )
    from datamodules.statistics.tables import draw_tables

    resolution = Resolution(**options.resolution.as_dict())
    check_distance(options.max_distance)
    splits = dataset_splits(options.root)
    folder = local_folder(options.report or join(options.root, "stats"))
    folder.mkdir(parents=True, exist_ok=True)  # before all images are read for it
    images, captions, pixels = {}, {}, {}
    for name, index in splits.items():
        index.verify()
        images[name] = measure_images(index, resolution)
        numbers = _some(len(index), options.max_captions)
        told = _counter(progress, f"captions of {name}", len(numbers))
        captions[name] = read_caption_lengths(index, numbers, options.num_workers, told)
        numbers = _some(len(index), len(index) if options.duplicates else options.num_decoded)
        told = _counter(progress, f"images of {name}", len(numbers))
        pixels[name] = read_pixels(index, numbers, options.num_workers, told, compare=options.duplicates)
    duplicates = (
        find_duplicates(pixels, options.max_distance, options.max_color) if options.duplicates else None
    )
    report = DatasetReport(
        name=os.path.basename(os.path.abspath(options.root)),
        resolution=_words(resolution),
        splits={
            name: SplitReport.of(index, images[name], captions[name], pixels[name], resolution)
            for name, index in splits.items()
        },
        duplicates=duplicates,
    )
    plots = draw_plots(images, captions, resolution)
    page = render_page(report, plots, galleries(splits, duplicates))
    for name, png in plots.items():
        write_atomically(folder / f"{name}.png", png)
    write_atomically(folder / "stats.json", json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
    write_atomically(folder / "stats.html", page)
    return f"{draw_tables(report)}\n{folder / 'stats.html'}"


def _some(size: int, count: int) -> np.ndarray:
    """All numbers, or `count` of them at random, ascending."""
    if count >= size:
        return np.arange(size)
    return np.sort(np.random.default_rng(0).choice(size, count, replace=False))


def _counter(progress: Progress, what: str, total: int) -> Callable[[int], None]:
    return lambda done: progress(what, done, total)


def _words(resolution: Resolution) -> str:
    squarest = min(resolution.aspect_ratios, key=lambda ratio: abs(ratio - 1))
    height, width = resolution.image_size(squarest)
    ratios = ", ".join(f"{ratio:.3g}" for ratio in sorted(resolution.aspect_ratios))
    return f"{width} x {height} pixels, and as many in the ratios (height / width) {ratios}"
