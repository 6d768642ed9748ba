"""Prompts of ImageReward's and HPSv2's benchmarks, from the published files, which are not ours to ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.preference.weights import HPS_PROMPTS, IMAGE_REWARD_PROMPTS
from evaluation.tasks.api import EvalContext, EvalPrompt
from infinity.json_files import read_json

__all__ = ["HPS_STYLES", "hps_prompts", "image_reward_prompts"]

HPS_STYLES = ("anime", "concept-art", "paintings", "photo")
_HPS_PROMPTS_PER_STYLE = 800
_IMAGE_REWARD_PROMPTS, _IMAGE_REWARD_IMAGES = 100, 10


def image_reward_prompts(context: EvalContext) -> list[EvalPrompt]:
    """100 prompts of DiffusionDB, ten images each."""
    path = context.weights.require(IMAGE_REWARD_PROMPTS)
    lines = read_json(path)
    is_right = isinstance(lines, list) and all(
        isinstance(one, dict) and one.keys() >= {"id", "prompt"} for one in lines
    )
    _check(path, lines if is_right else [], _IMAGE_REWARD_PROMPTS, 'a list of {"id", "prompt"}')
    return [EvalPrompt(id=one["id"], text=one["prompt"], num_images=_IMAGE_REWARD_IMAGES) for one in lines]


def hps_prompts(context: EvalContext) -> list[EvalPrompt]:
    """800 prompts of each style, one image each; styles take turns, so that a limit keeps them balanced."""
    folder = context.weights.require(HPS_PROMPTS)
    texts = [_style_prompts(folder / f"{style}.json") for style in HPS_STYLES]
    return [
        EvalPrompt(id=f"{style}-{number:05d}", text=text, metadata={"style": style})
        for number, row in enumerate(zip(*texts, strict=True))
        for style, text in zip(HPS_STYLES, row, strict=True)
    ]


def _style_prompts(path: Path) -> list[str]:
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; the folder must hold {', '.join(HPS_STYLES)} (.json): get all four"
        )
    texts = read_json(path)
    is_right = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    _check(path, texts if is_right else [], _HPS_PROMPTS_PER_STYLE, "a list of texts")
    return texts


def _check(path: Path, lines: list[Any], expected: int, what: str) -> None:
    if len(lines) != expected:
        raise ValueError(
            f"{path} must hold {expected} prompts ({what}), got {len(lines)}; get the published file again"
        )
