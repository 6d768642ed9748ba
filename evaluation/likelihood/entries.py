"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_METRICS = (
    "val_loss[flip={0},seed=0,reweight=0,*]",
    "val_loss[flip={0},seed=0,reweight=1,*]",
    "bits_per_image[flip={0},seed=0,*]",
    "val_bit_accuracy[flip={0},seed=0,*]",
)


def _entry(summary: str, flip: float) -> TaskEntry:
    return TaskEntry(
        summary=summary,
        target="evaluation.likelihood.task:ValidationLoss",
        metrics=tuple(metric.format(flip) for metric in _METRICS),
        direction="lower",
        higher=(_METRICS[-1].format(flip),),
        options={"flip": flip},
        needs=("data", "pipeline"),
    )


TASKS: dict[str, TaskEntry] = {
    "val-loss": _entry("Validation loss of the paper: nats per bit, with a fifth of the bits flipped", 0.2),
    "val-loss-clean": _entry("Validation loss without flips, and the bits that an image would cost", 0.0),
}

PROMPT_SETS: dict[str, str] = {}
