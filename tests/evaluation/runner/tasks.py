"""Small real tasks for the runner's tests: exact things about pixels, by prompts of a file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import torch

from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample, TaskScore
from evaluation.tasks.entry import TaskEntry
from evaluation.weights import WeightFile

__all__ = ["ENTRIES", "PROMPT_SETS", "SCALE", "Brightness", "Defective", "ModelSize", "Nothing"]
__all__ += ["OutOfMemory", "Processes", "shapes"]

SCALE = WeightFile(name="scale", file="scale.txt", source="the tests")


def shapes(context: EvalContext) -> list[EvalPrompt]:
    """Five prompts in two shapes, one of them with an id that is no file name."""
    words = ["circle", "square", "ring", "star/../heart", "triangle"]
    return [
        EvalPrompt(
            id=f"p/{word}",
            text=f"a red {word}",
            num_images=2,
            aspect_ratio=0.6 if number % 2 else 1.0,
            metadata={"number": number, "box": (1, 2)},
        )
        for number, word in enumerate(words)
    ]


class Brightness:
    """Mean pixel, times a number in a weight file if there is to be one, and with an error of rounding."""

    prompt_set = "shapes"

    def __init__(self, *, scaled: bool = False, rounding: float = 0.0, features: str = "") -> None:
        self.scaled = scaled
        self.rounding = rounding

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        scale = float(context.weights.require(SCALE).read_text()) if self.scaled else 1.0
        values = [scale * float(sample.image().mean()) for sample in samples]
        name = "scaled_brightness" if self.scaled else "brightness"
        metric = MetricValue(
            id=name,
            value=sum(values) / len(values) + self.rounding,
            direction="higher",
            n=len(samples),
            ci95=(0.0, 255.0),
        )
        rows = tuple(
            {
                "prompt_id": sample.prompt.id,
                "index": sample.index,
                "correct": value > 100,
                "reason": "" if value > 100 else "too dark",
                "number": sample.prompt.metadata["number"],
            }
            for sample, value in zip(samples, values, strict=True)
        )
        table = Table(columns=("prompt", "brightness"), rows=tuple((row["prompt_id"], 1.0) for row in rows))
        return TaskScore(metrics=(metric,), rows=rows, tables={"By prompt": table}, caveats=("A test's.",))


class ModelSize:
    """A number about the model itself."""

    prompt_set = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        assert context.pipeline is not None
        count = sum(weight.numel() for weight in context.pipeline.transformer.parameters())
        return TaskScore(metrics=(MetricValue(id="parameters", value=count, direction="none", n=1),))


class Processes:
    """Number of variables that say which process this is."""

    prompt_set = None

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        count = sum(name in os.environ for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        return TaskScore(metrics=(MetricValue(id="variables", value=count, direction="none", n=1),))


class OutOfMemory:
    """Fails as a network too large for its device does."""

    prompt_set = "shapes"

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        raise torch.OutOfMemoryError("out of memory")


class Defective:
    """Fails as a program with a mistake does."""

    prompt_set = "shapes"

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        raise KeyError("a mistake")


class Nothing:
    """Finds no number."""

    prompt_set = "shapes"

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        return TaskScore(metrics=(MetricValue(id="nothing", value=math.nan, direction="higher", n=1),))


_HERE = "tests.evaluation.runner.tasks"
ENTRIES = {
    "brightness": TaskEntry(summary="mean pixel", target=f"{_HERE}:Brightness", metrics=("brightness",)),
    "rounded": TaskEntry(
        summary="mean pixel, by another route",
        target=f"{_HERE}:Brightness",
        metrics=("brightness",),
        options={"rounding": 1e-6},
    ),
    "scaled": TaskEntry(
        summary="mean pixel, scaled",
        target=f"{_HERE}:Brightness",
        metrics=("scaled_brightness",),
        weights=(SCALE,),
        options={"scaled": True},
        stand_in_for="light",
    ),
    "nothing": TaskEntry(summary="nothing", target=f"{_HERE}:Nothing", metrics=("nothing",)),
    "large": TaskEntry(summary="too large", target=f"{_HERE}:OutOfMemory", metrics=("large",)),
    "defective": TaskEntry(summary="wrong", target=f"{_HERE}:Defective", metrics=("defective",)),
    "processes": TaskEntry(summary="processes", target=f"{_HERE}:Processes", metrics=("variables",)),
    "size": TaskEntry(
        summary="parameters",
        target=f"{_HERE}:ModelSize",
        metrics=("parameters",),
        direction="none",
        needs=("pipeline",),
    ),
}
PROMPT_SETS = {"shapes": f"{_HERE}:shapes"}
