"""Statistics as tables for a terminal."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table

from datamodules.statistics.page import format_bytes, format_count, format_share
from datamodules.statistics.report import DatasetReport, SplitReport

__all__ = ["draw_tables"]


def draw_tables(report: DatasetReport) -> str:
    """An overview of the splits, their buckets, what is there twice and what is broken."""
    console = Console(file=(text := io.StringIO()), width=max(Console().width, 100), markup=False)
    console.print(_overview(report), _buckets(report), sep="\n")
    if report.duplicates is not None:
        found = report.duplicates
        leaks = "".join(
            f", {count} samples of {split} look like some of train" for split, count in found.leaked.items()
        )
        console.print(
            f"of {found.num_compared} images {found.exact} are exact copies of another, "
            f"{found.near} look like another ({found.max_distance} bits, {found.max_color:g} colors){leaks}"
        )
    for split, one in report.splits.items():
        for what, causes in (("left out of the index", one.left_out), ("broken", one.broken)):
            for cause, count in causes.items():
                console.print(f"{split}: {count} {what}: {cause}", highlight=False)
    return text.getvalue().rstrip()


def _overview(report: DatasetReport) -> Table:
    table = Table(title=report.name, title_justify="left")
    table.add_column("")
    for split in report.splits:
        table.add_column(split, justify="right")
    for label, value in (
        ("samples", lambda one: format_count(one.num_samples)),
        ("shards", lambda one: f"{one.num_shards}, {format_bytes(one.num_bytes)}"),
        ("image file, median", lambda one: format_bytes(one.image_bytes.median)),
        ("width x height, median", lambda one: f"{one.widths.median:.0f} x {one.heights.median:.0f}"),
        ("height / width, 5-95 %", lambda one: f"{one.aspect_ratios.p5:.2f} - {one.aspect_ratios.p95:.2f}"),
        ("words of a caption, median and 95 %", _words),
        ("area cut away, mean", lambda one: format_share(one.crop_loss.mean)),
        ("left out of the index", lambda one: format_count(sum(one.left_out.values()))),
        ("broken", lambda one: f"{sum(one.broken.values())} of {one.num_decoded} decoded"),
    ):
        table.add_row(label, *map(value, report.splits.values()))
    return table


def _words(one: SplitReport) -> str:
    named = len(one.words) > 1
    return "\n".join(
        f"{f'{kind}: ' if named else ''}{words.median:.0f}, {words.p95:.0f}"
        for kind, words in one.words.items()
    )


def _buckets(report: DatasetReport) -> Table:
    table = Table(title=f"Buckets of {report.resolution}", title_justify="left")
    for column in ("split", "height / width", "size"):
        table.add_column(column)
    for column in ("samples", "cut away, mean", "95 %", "enlarged", "by, median"):
        table.add_column(column, justify="right")
    for split, one in report.splits.items():
        for bucket in one.buckets:
            table.add_row(
                *(split, f"{bucket.aspect_ratio:.3g}", f"{bucket.width} x {bucket.height}"),
                *(format_count(bucket.num_samples), format_share(bucket.crop_loss.mean)),
                *(format_share(bucket.crop_loss.p95), format_share(bucket.enlarged)),
                f"{bucket.enlargement.median:.2f}",
            )
        table.add_section()
    return table
