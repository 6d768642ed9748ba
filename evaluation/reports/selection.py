"""Which images a report of runs shows: the first, random and the worst ones, never picked by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.image_folders import read_image
from evaluation.reports.content import Grid, Tile
from evaluation.reports.labels import format_number, title_of
from evaluation.reports.runs import EvaluatedRun
from evaluation.reports.verdicts import Verdict
from evaluation.tasks.registry import TASKS

__all__ = ["THUMBNAIL", "grids_of_runs"]

THUMBNAIL = 256
"""Longer side of a picture in a report, in pixels."""

_NUM_SHOWN = 12

Group = list[tuple[EvaluatedRun, Path, Verdict]]
"""The same image (prompt and number) in every run that has it."""


def grids_of_runs(runs: Sequence[EvaluatedRun], *, seed: int = 0) -> tuple[Grid, ...]:
    """Three grids per prompt set; where several runs share it, a row has one prompt's image in each.

    Images whose files are gone are left out.
    """
    grids = []
    for prompt_set in dict.fromkeys(one.prompt_set for run in runs for _, one in run.verdicts):
        task, groups = _shared_images(runs, prompt_set)
        if groups:
            grids += _grids(prompt_set, task, groups, seed)
    return tuple(grids)


def _shared_images(runs: Sequence[EvaluatedRun], prompt_set: str) -> tuple[str, list[Group]]:
    """The task whose verdicts are shown (that all runs share, and judges if any does), and their images."""
    of_set = [
        [(run, folder, one) for folder, one in run.verdicts if one.prompt_set == prompt_set] for run in runs
    ]
    of_set = [found for found in of_set if found]
    shared = set.intersection(*({one.task for *_, one in found} for found in of_set))
    tasks = {one.task: one.correct is not None for *_, one in of_set[0] if one.task in shared}
    if not tasks:
        return "", []
    task = next((name for name, judges in tasks.items() if judges), next(iter(tasks)))
    images = [
        {
            one.image: (run, folder, one)
            for run, folder, one in found
            if one.task == task and _file(folder, one)
        }
        for found in of_set
    ]
    return task, [
        [of_run[image] for of_run in images] for image in images[0] if all(image in one for one in images)
    ]


def _file(folder: Path, verdict: Verdict) -> Path | None:
    """Where the image is, if it is there, below its run."""
    path = (folder / verdict.file).resolve()
    return path if verdict.file and path.is_relative_to(folder.resolve()) and path.is_file() else None


def _grids(prompt_set: str, task: str, groups: Sequence[Group], seed: int) -> list[Grid]:
    num_runs = len(groups[0])
    num = min(len(groups), max(4, _NUM_SHOWN // num_runs))
    first = [group for group in groups if group[0][-1].index == 0][:num]
    drawn = np.random.default_rng(seed).choice(len(groups), num, replace=False)
    worst = _worst(task, groups)[:num]
    chosen = {
        "the first ones": (first, f"The first {len(first)} prompts, first image each."),
        "random ones": (
            [groups[i] for i in drawn],
            f"{num} of {len(groups)} images, drawn with seed {seed}.",
        ),
        "the worst ones": (
            worst,
            f"The {len(worst)} prompts with the lowest mean by {title_of(task)}, the worst image each.",
        ),
    }
    columns = num_runs if num_runs > 1 else 0
    return [
        Grid(
            title=f"{title_of(prompt_set)}: {name}",
            note=note + (" A row shows one prompt in every run." if columns else ""),
            tiles=tuple(
                _tile(folder, verdict, run.name if columns else "")
                for group in shown
                for run, folder, verdict in group
            ),
            columns=columns,
        )
        for name, (shown, note) in chosen.items()
        if shown
    ]


def _worst(task: str, groups: Sequence[Group]) -> list[Group]:
    """The worst image of every prompt, prompts by their mean; those without a failure are no bad ones."""
    sign = -1 if task in TASKS and TASKS[task].direction == "lower" else 1
    by_prompt: dict[str, list[tuple[float, Group]]] = {}
    for group in groups:
        score = sign * sum(verdict.score for *_, verdict in group) / len(group)
        by_prompt.setdefault(group[0][-1].prompt_id, []).append((score, group))
    means: Mapping[str, float] = {
        prompt: sum(score for score, _ in found) / len(found) for prompt, found in by_prompt.items()
    }
    order = sorted(by_prompt, key=lambda prompt: means[prompt])
    worst = [min(by_prompt[prompt], key=lambda one: one[0])[1] for prompt in order]
    return [group for group in worst if not all(verdict.correct for *_, verdict in group)]


def _tile(folder: Path, verdict: Verdict, run: str) -> Tile:
    with Image.fromarray(read_image(folder / verdict.file)) as image:
        size = image.size
        image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
    is_judged = verdict.correct is not None
    return Tile(
        image=pixels,
        caption=verdict.prompt,
        correct=verdict.correct,
        note=verdict.reason if is_judged else f"{title_of(verdict.task)} {format_number(verdict.score)}",
        run=run,
        boxes=verdict.boxes,
        size=size,
    )
