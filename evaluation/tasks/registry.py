"""All tasks and prompt sets by name; a task's module is imported only when the task is asked for.

Every area keeps its own list, ``evaluation/<area>/entries.py``, with ``TASKS`` and ``PROMPT_SETS``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from evaluation.tasks.api import EvalContext, EvalPrompt, Task
from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS", "build_prompts", "build_task"]

_AREAS = (
    "shapeseval",
    "distribution",
    "tokenizer",
    "likelihood",
    "geneval",
    "preference",
    "questions",
    "text_rendering",
    "cost",
    "runner",
)
_entries = [import_module(f"evaluation.{area}.entries") for area in _AREAS]

TASKS: dict[str, TaskEntry] = {name: entry for area in _entries for name, entry in area.TASKS.items()}

PROMPT_SETS: dict[str, str] = {name: target for area in _entries for name, target in area.PROMPT_SETS.items()}
"""``module:function`` by name; the function takes an :class:`EvalContext` and returns the prompts."""


def build_task(name: str, **options: Any) -> Task:
    """A task by its name in the registry."""
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; `python -m evaluation list` shows them: {', '.join(TASKS)}")
    entry = TASKS[name]
    return _load(entry.target)(**{**entry.options, **options})


def build_prompts(name: str, context: EvalContext) -> Sequence[EvalPrompt]:
    """The prompts of a set, in the order in which their images are drawn."""
    return _load(PROMPT_SETS[name])(context)


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
