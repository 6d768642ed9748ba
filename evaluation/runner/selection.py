"""Which tasks can be done with what is there; refused before anything is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.tasks.api import EvalContext, Task
from evaluation.tasks.entry import TaskEntry
from evaluation.tasks.registry import TASKS, build_task

__all__ = ["SelectedTask", "Selection", "select_tasks"]


@dataclass(frozen=True, kw_only=True)
class SelectedTask:
    name: str
    entry: TaskEntry
    task: Task


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Tasks in the order asked for, and why others are left out, by name."""

    tasks: tuple[SelectedTask, ...]
    skipped: dict[str, str]

    @property
    def prompt_sets(self) -> tuple[str, ...]:
        """What has to be drawn, each once."""
        return tuple(dict.fromkeys(one.task.prompt_set for one in self.tasks if one.task.prompt_set))


def select_tasks(
    names: Sequence[str], context: EvalContext, *, with_model: bool, skip_missing: bool = False
) -> Selection:
    """The tasks of these names, built.

    Args:
        names: of the registry, or "all".
        with_model: whether there will be one.
        skip_missing: leave out tasks whose weights, data or packages are missing, instead of refusing.
    """
    tasks: list[SelectedTask] = []
    skipped: dict[str, str] = {}
    for name in dict.fromkeys(TASKS if list(names) == ["all"] else names):
        if name not in TASKS:
            build_task(name)  # says which there are
        entry = TASKS[name]
        try:
            _check_needs(name, entry, context, with_model)
            tasks.append(SelectedTask(name=name, entry=entry, task=build_task(name)))
        except (ValueError, ImportError) as error:
            if not skip_missing:
                raise ValueError(f"task {name}: {error}") from error
            skipped[name] = str(error)
    if not tasks:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise ValueError(f"no task is left to do ({reasons or 'none was named'})")
    return Selection(tasks=tuple(tasks), skipped=skipped)


def _check_needs(name: str, entry: TaskEntry, context: EvalContext, with_model: bool) -> None:
    for weight in entry.weights:
        context.weights.require(weight)
    if "data" in entry.needs and context.data is None:
        raise ValueError("it needs a data set with references; name one with --data")
    if "pipeline" in entry.needs and not with_model:
        raise ValueError("it measures the model itself; use `python -m evaluation run`")
