"""Prompt sets that no area owns; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

TASKS: dict[str, TaskEntry] = {}

PROMPT_SETS: dict[str, str] = {"captions": "evaluation.runner.captions:held_out_captions"}
