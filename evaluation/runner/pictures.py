"""The images that a report of tasks shows: the first of every prompt set, never picked by eye."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evaluation.reports import Grid, Tile
from evaluation.runner.outcome import Outcome
from evaluation.tasks.api import EvalSample

__all__ = ["first_images"]

_NUM_SHOWN = 18


def first_images(outcome: Outcome) -> tuple[Grid, ...]:
    """A grid per prompt set: the first prompts, first image each, with the first task's verdict."""
    verdicts = {(row["prompt_set"], row["prompt_id"], row["index"]): row["tasks"] for row in outcome.rows}
    grids = []
    for name, samples in outcome.samples.items():
        shown = [sample for sample in samples if sample.index == 0][:_NUM_SHOWN]
        tiles = tuple(_tile(sample, verdicts[name, sample.prompt.id, 0]) for sample in shown)
        note = f"The first {len(shown)} prompts of {name}, first image each."
        grids.append(Grid(title=f"The first of {name}", note=note, tiles=tiles))
    return tuple(grids)


def _tile(sample: EvalSample, tasks: Mapping[str, Any]) -> Tile:
    verdict = next((found for found in tasks.values() if "correct" in found), {})
    reason = str(verdict.get("reason") or "")
    caption = sample.prompt.text
    return Tile(image=sample.image(), caption=caption, correct=verdict.get("correct"), note=reason)
