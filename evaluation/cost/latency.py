"""Task ``latency``: seconds per image, by stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from evaluation.bench.timing import timed
from evaluation.cost.drawing import STAGES, StagedDrawing, hardware_of
from evaluation.intervals import median_of
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["Latency"]

_WARM_UP = 3  # kernels are chosen, caches filled, weights laid out


class Latency:
    """Medians over rounds, each of other captions and seeds; the interval is one of the median.

    Args:
        batch_size: images at once; seconds are per image.
        rounds: that are timed, after a warm-up that is not.
    """

    prompt_set = None

    def __init__(self, *, batch_size: int = 1, rounds: int = 20) -> None:
        if rounds < 6:
            raise ValueError(f"an interval of a median needs at least 6 rounds, got {rounds}")
        self.batch_size = batch_size
        self.rounds = rounds

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        drawing = StagedDrawing.of(context, self.batch_size)
        taken = [_round(drawing, number) for number in range(_WARM_UP + self.rounds)][_WARM_UP:]
        seconds = {stage: [one[stage] / self.batch_size for one in taken] for stage in STAGES}
        seconds = {"total": [sum(one.values()) / self.batch_size for one in taken], **seconds}
        medians = {stage: median_of(values) for stage, values in seconds.items()}
        knobs = f"{drawing.knobs},{hardware_of(drawing.device)}"
        metrics = tuple(
            MetricValue(
                id=f"seconds_per_image[{knobs}]/{stage}",
                value=one.value,
                direction="lower",
                n=self.rounds * self.batch_size,
                ci95=(one.low, one.high),
                note=f"{drawing.note}; median of {self.rounds} rounds after {_WARM_UP} of warm-up",
            )
            for stage, one in medians.items()
        )
        rows = tuple(
            (stage, one.value, min(seconds[stage]), max(seconds[stage]), one.value / medians["total"].value)
            for stage, one in medians.items()
        )
        columns = ("stage", "median seconds per image", "fastest", "slowest", "share")
        return TaskScore(metrics=metrics, tables={"Latency": Table(columns=columns, rows=rows)})


@torch.no_grad()
def _round(drawing: StagedDrawing, number: int) -> dict[str, float]:
    """Seconds of every stage of one batch."""
    results: list[Any] = []

    def stage(work: Callable[[], Any]) -> float:
        return timed(lambda: results.append(work()), drawing.device)()

    encoding = stage(lambda: drawing.encode(drawing.captions(number)))
    transformer = stage(lambda: drawing.draw(*results[-1], drawing.seeds(number)))
    decoding = stage(lambda: drawing.decode(results[-1]))
    return dict(zip(STAGES, (encoding, transformer, decoding), strict=True))
