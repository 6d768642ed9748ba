"""Every image has its own seed, so that it can be drawn again by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Integral
from operator import index

import torch

__all__ = ["image_seed", "seeds_of_images"]


def image_seed(seed: int, *numbers: int) -> int:
    """Derive an image's seed from the run's seed and the image's numbers (of its prompt, and within it)."""
    text = ":".join(map(str, (seed, *numbers)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest())


def seeds_of_images(
    seeds: int | Sequence[int] | None,
    generator: torch.Generator | Sequence[torch.Generator] | None,
    num_prompts: int,
    num_images_per_prompt: int,
) -> list[int]:
    """One seed per image (all images of a prompt together).

    Args:
        seeds: one per image, or a single one (0 if neither is given) to derive them from; adding prompts or
            images per prompt then changes none of the others.
        generator: the seeds are drawn from it, or from one generator per image.
    """
    if seeds is not None and generator is not None:
        raise ValueError("pass either seeds or a generator, got both")
    total = num_prompts * num_images_per_prompt
    if isinstance(generator, torch.Generator):
        return [_draw(generator) for _ in range(total)]
    if generator is not None:
        seeds = [_draw(one) for one in generator]
    elif seeds is None or isinstance(seeds, int | Integral):  # NumPy's numbers too
        seed, images = int(seeds or 0), range(num_images_per_prompt)
        return [image_seed(seed, i, k) for i in range(num_prompts) for k in images]
    if len(seeds) != total:
        raise ValueError(
            f"pass one seed (or generator), or one per image: got {len(seeds)} for {total} images"
        )
    try:
        own = [index(seed) for seed in seeds]  # of tensors too
    except TypeError as error:
        raise ValueError(f"seeds must be whole numbers, got {list(seeds)}") from error
    if not all(0 <= seed < 2**63 for seed in own):
        raise ValueError(f"seeds must be in [0, 2**63), got {own}")
    return own


def _draw(generator: torch.Generator) -> int:
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))
