"""``python -m evaluation sweep``: the same run at every guidance and temperature, and one report of all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from evaluation.reports.command import report_command
from evaluation.runner.command import add_run_arguments, run_command
from evaluation.runner.ranks import Ranks
from infinity.command_options import load_pipeline, per_scale
from infinity.pipeline import InfinityPipeline

__all__ = ["add_sweep_arguments", "sweep_command"]

Setting = float | tuple[float, ...]


def add_sweep_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``run``, with lists of guidances and temperatures; `parser` must resolve conflicts."""
    add_run_arguments(parser)
    for name in ("--guidance", "--temperature"):
        parser.add_argument(
            name,
            type=per_scale,
            nargs="+",
            required=True,
            help="values to try; one of them may be a list with a value per scale, as 1,0.5,0",
        )


def sweep_command(
    *,
    output: Path,
    guidance: Sequence[Setting],
    temperature: Sequence[Setting],
    title: str = "",
    **options: Any,
) -> Path | str:
    """Run at every pair of settings, each in a folder of its own; again: goes on where it stopped.

    Args:
        output: gets a folder per pair, and the report in ``report``.
        options: those of ``run``.
    """
    settings = list(product(dict.fromkeys(guidance), dict.fromkeys(temperature)))
    if len(settings) < 2:
        raise ValueError("a sweep needs at least two settings, got one; use `python -m evaluation run`")
    loaded: list[InfinityPipeline] = []

    def load(words: Any) -> InfinityPipeline:
        """The one model of all settings."""
        if not loaded:
            loaded.append(load_pipeline(words))
        return loaded[0]

    folders = []
    for one, other in settings:
        folders.append(output / f"g{_word(one)}-t{_word(other)}")
        own = {"output": folders[-1], "guidance": one, "temperature": other, "title": ""}
        said = run_command(load=load, **options | own)
    if not Ranks.from_environment().is_first:
        return said
    return report_command(runs=folders, output=output / "report", title=title or None, seed=options["seed"])


def _word(setting: Setting) -> str:
    return ",".join(f"{one:g}" for one in (setting if isinstance(setting, tuple) else (setting,)))
