"""Prompts that ask for written words: how long, and on what, in turns."""

from __future__ import annotations

from itertools import cycle, islice

import numpy as np

from evaluation.tasks.api import EvalContext, EvalPrompt

__all__ = ["LENGTHS", "text_rendering_prompts"]

LENGTHS = (1, 2, 4, 8)
"""Words to be written."""

_PROMPTS_PER_LENGTH = 25
_IMAGES = 4
_SEED = 0
_PLACES = (
    'a wooden sign that says "{}"',
    'a movie poster with the title "{}"',
    'a shop window with the words "{}"',
    'a blackboard on which is written "{}"',
    'a white t-shirt that reads "{}"',
)
_WORDS = (
    *("apple", "autumn", "bakery", "bright", "candle", "castle", "clouds", "coffee", "copper", "dragon"),
    *("engine", "fabric", "family", "flower", "forest", "friend", "garden", "golden", "harbor", "honest"),
    *("island", "jungle", "kitten", "ladder", "lantern", "library", "market", "meadow", "mirror", "morning"),
    *("mountain", "museum", "nature", "ocean", "orange", "painter", "pepper", "planet", "pocket", "purple"),
    *("quiet", "rabbit", "ribbon", "river", "rocket", "saddle", "school", "secret", "silver", "simple"),
    *("station", "summer", "sunset", "thunder", "travel", "tunnel", "velvet", "violin", "winter", "yellow"),
)


def text_rendering_prompts(context: EvalContext) -> list[EvalPrompt]:
    """100 prompts, always the same; lengths take turns, so that a limit keeps them balanced.

    The words follow no grammar, so that none can be guessed from its neighbours.
    """
    rng = np.random.default_rng(_SEED)
    prompts = []
    turns = islice(zip(cycle(_PLACES), cycle(LENGTHS), strict=True), _PROMPTS_PER_LENGTH * len(LENGTHS))
    for number, (place, length) in enumerate(turns):
        words = " ".join(rng.choice(_WORDS, size=length, replace=False).tolist())
        written = words.title() if number // len(LENGTHS) % 2 else words.upper()
        prompts.append(
            EvalPrompt(
                id=f"text-{number:03d}",
                text=place.format(written),
                num_images=_IMAGES,
                metadata={"written": written, "num_words": length},
            )
        )
    return prompts
