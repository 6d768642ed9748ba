"""All tasks and prompt sets by name; a task's module is imported only when the task is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from evaluation.results import Direction
from evaluation.tasks.api import EvalContext, EvalPrompt, Task
from evaluation.weights import WeightFile

__all__ = ["PROMPT_SETS", "TASKS", "TaskEntry", "build_task", "build_prompts"]

Needs = Literal["data", "prompts"]


@dataclass(frozen=True, kw_only=True)
class TaskEntry:
    """What ``--list`` shows of a task before anything heavy is imported.

    Args:
        summary: one line.
        target: ``module:Class``.
        metrics: templates of its metric ids, with their knobs.
        weights: files it can't do without.
        options: keyword arguments of the class that this entry fixes.
        stand_in_for: the published metric that it stands in for, without ever carrying its name.
    """

    summary: str
    target: str
    metrics: tuple[str, ...]
    direction: Direction = "higher"
    weights: tuple[WeightFile, ...] = ()
    options: Mapping[str, Any] | None = None
    needs: tuple[Needs, ...] = ()
    stand_in_for: str = ""


TASKS: dict[str, TaskEntry] = {}

PROMPT_SETS: dict[str, str] = {}
"""``module:function`` by name; the function takes an :class:`EvalContext` and returns the prompts."""


def build_task(name: str, **options: Any) -> Task:
    """A task by its name in the registry."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; `python -m evaluation list` shows them: {', '.join(TASKS)}")
    entry = TASKS[name]
    return _load(entry.target)(**{**(entry.options or {}), **options})


def build_prompts(name: str, context: EvalContext) -> Sequence[EvalPrompt]:
    """The prompts of a set."""
    make: Callable[[EvalContext], Sequence[EvalPrompt]] = _load(PROMPT_SETS[name])
    return make(context)


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
