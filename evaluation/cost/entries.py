"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

TASKS: dict[str, TaskEntry] = {
    "latency": TaskEntry(
        summary="seconds per image of text encoder, transformer and decoder; one image at a time",
        target="evaluation.cost.latency:Latency",
        metrics=("seconds_per_image[<size>,batch=<B>,<hardware>]/<stage>",),
        direction="lower",
        needs=("pipeline",),
    ),
    "memory": TaskEntry(
        summary="most memory while one image is drawn: weights, and what is held beside them",
        target="evaluation.cost.memory:Memory",
        metrics=("peak_mib[<size>,batch=<B>,<device>]/<part>",),
        direction="lower",
        needs=("pipeline",),
    ),
    "flops": TaskEntry(
        summary="floating-point operations of one image by stage, counted and in closed form",
        target="evaluation.cost.flops:Flops",
        metrics=("gflops_per_image[<size>,batch=<B>]/<stage>",),
        direction="lower",
        needs=("pipeline",),
    ),
}

PROMPT_SETS: dict[str, str] = {}
