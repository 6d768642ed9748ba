"""The prompts of drawn images, beside them: whoever scores them needs neither the data nor the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from evaluation.tasks.api import EvalContext, EvalPrompt
from evaluation.tasks.registry import build_prompts
from infinity.atomic import write_atomically
from infinity.json_files import expecting, read_json_lines

__all__ = ["read_prompts", "wanted_prompts", "write_prompts"]

_NAME = "prompts.jsonl"


def wanted_prompts(prompt_set: str, context: EvalContext) -> list[EvalPrompt]:
    """The prompts of a set as they are to be drawn: the first ones, with the number of images asked for."""
    prompts = list(build_prompts(prompt_set, context))[: context.limit]
    if not prompts:
        raise ValueError(f"the prompt set {prompt_set} is empty; name data that has prompts with --data")
    ids = [prompt.id for prompt in prompts]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"prompt ids of {prompt_set} must be unique, got {twice!r} twice; rename it")
    if context.images_per_prompt is not None:
        prompts = [replace(prompt, num_images=context.images_per_prompt) for prompt in prompts]
    return prompts


def write_prompts(folder: Path, prompts: Sequence[EvalPrompt]) -> None:
    """Write ``prompts.jsonl``, a line each."""
    write_atomically(folder / _NAME, "".join(json.dumps(asdict(prompt)) + "\n" for prompt in prompts))


def read_prompts(folder: Path) -> list[EvalPrompt]:
    """The prompts whose images a folder holds."""
    path = folder / _NAME
    if not path.is_file():
        raise ValueError(
            f"no images of the prompt set {folder.name} in {folder}; draw them with "
            "`python -m evaluation run`"
        )
    with expecting("list of prompts", path):
        return [EvalPrompt(**row) for row in read_json_lines(path)]
