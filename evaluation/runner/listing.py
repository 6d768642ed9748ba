"""``python -m evaluation list``: what can be measured, and what is missing for it here."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry
from evaluation.tasks.registry import TASKS
from evaluation.weights import WeightFile, WeightFinder

__all__ = ["list_tasks"]

_BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "a description"}


def list_tasks(weights: WeightFinder) -> str:
    """A paragraph per task."""
    return "\n\n".join(_paragraph(name, entry, weights) for name, entry in TASKS.items())


def _paragraph(name: str, entry: TaskEntry, weights: WeightFinder) -> str:
    title = f"{name}: {entry.summary}"
    if entry.stand_in_for:
        title += f" [stand-in for {entry.stand_in_for}, not comparable with it]"
    lines = [title]
    lines += [f"    metric   {metric} ({_BETTER[entry.direction_of(metric)]})" for metric in entry.metrics]
    lines += [f"    weights  {_state(weight, weights)}" for weight in entry.weights]
    if entry.needs:
        options = {"data": "--data", "pipeline": "--model"}
        lines.append(f"    needs    {', '.join(options[need] for need in entry.needs)}")
    return "\n".join(lines)


def _state(weight: WeightFile, weights: WeightFinder) -> str:
    try:
        return f"{weight.name}: found at {weights.require(weight)}"
    except ValueError as error:
        return f"{weight.name}: MISSING, {error}"
