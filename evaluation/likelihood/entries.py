"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_METRICS = (
    "val_loss[max_flip={0},seed=0,reweight=0,*]",
    "val_loss[max_flip={0},seed=0,reweight=1,*]",
    "bits_per_image[max_flip={0},seed=0,*]",
    "val_bit_accuracy[max_flip={0},seed=0,*]",
)


def _entry(summary: str, max_flip: float) -> TaskEntry:
    return TaskEntry(
        summary=summary,
        target="evaluation.likelihood.task:ValidationLoss",
        metrics=tuple(metric.format(max_flip) for metric in _METRICS),
        direction="lower",
        higher=(_METRICS[-1].format(max_flip),),
        options={"max_flip": max_flip},
        needs=("data", "pipeline"),
    )


TASKS: dict[str, TaskEntry] = {
    "val-loss": _entry(
        "Validation loss as Infinity's script has it: nats per bit, with up to a fifth of the bits flipped",
        0.2,
    ),
    "val-loss-clean": _entry("Validation loss without flips, and the bits that an image would cost", 0.0),
}

PROMPT_SETS: dict[str, str] = {}
