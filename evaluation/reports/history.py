"""Training curves for reports: from TensorBoard event files or from Lightning's ``metrics.csv``."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["History", "load_histories", "load_history"]

History = Mapping[str, Sequence[tuple[int, float]]]
"""Curves by name (``[stage/]split/quantity[/scale_k]``): points (step, value)."""


def load_histories(folders: Mapping[str, Path]) -> dict[str, list[tuple[int, float]]]:
    """Curves of several folders, each under the name of its folder ("" for none)."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for name, folder in folders.items():
        curves |= load_history(folder, f"{name}/" if name else "")
    return curves


def load_history(path: str | Path, prefix: str = "") -> dict[str, list[tuple[int, float]]]:
    """Scalar curves below a folder (or in one file), by name.

    Args:
        path: an event file, a ``metrics.csv``, or a folder that holds some; resumed runs are joined.
        prefix: put before every name, e.g. ``vae/``.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.rglob("*"))
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for file in files:
        if "tfevents" in file.name:
            _read_events(file, curves)
        elif file.name == "metrics.csv":
            _read_csv(file, curves)
    if not curves:
        raise ValueError(f"no TensorBoard event file and no metrics.csv with scalars in {path}")
    return {prefix + name: sorted(points.items()) for name, points in sorted(curves.items())}


def _read_events(file: Path, curves: dict[str, dict[int, float]]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator

    events = EventAccumulator(str(file), size_guidance={SCALARS: 0}).Reload()
    for name in events.Tags()["scalars"]:
        curves[name].update((event.step, event.value) for event in events.Scalars(name))


def _read_csv(file: Path, curves: dict[str, dict[int, float]]) -> None:
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            for name, text in row.items():
                if name not in ("step", "epoch") and text and math.isfinite(float(text)):
                    curves[name][int(row["step"])] = float(text)
