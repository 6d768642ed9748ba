"""Every image has a seed of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from infinity.seeds import image_seed, seeds_of_images


def test_more_images_or_prompts_change_no_other_seed() -> None:
    few, more = seeds_of_images(3, None, 2, 2), seeds_of_images(3, None, 4, 3)
    assert few == [image_seed(3, i, k) for i in range(2) for k in range(2)]
    assert few == [more[0], more[1], more[3], more[4]]
    assert len(set(more)) == 12
    assert seeds_of_images(None, None, 1, 1) == [image_seed(0, 0, 0)]


def test_numbers_of_numpy_are_seeds() -> None:
    assert seeds_of_images(np.int64(3), None, 2, 1) == seeds_of_images(3, None, 2, 1)
    seeds = seeds_of_images(np.array([1, 2]), None, 2, 1)
    assert seeds == [1, 2]
    assert seeds_of_images(torch.tensor([1, 2]), None, 2, 1) == [1, 2]
    assert all(type(seed) is int for seed in seeds)


def test_a_generator_gives_the_seeds_and_moves_on() -> None:
    generator = torch.Generator().manual_seed(5)
    first, second = (seeds_of_images(None, generator, 2, 1) for _ in range(2))
    assert first == seeds_of_images(None, torch.Generator().manual_seed(5), 2, 1)
    assert not set(first) & set(second)
    each = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    assert seeds_of_images(None, each, 2, 1)[0] == first[0]


@pytest.mark.parametrize(
    ("seeds", "generator", "message"),
    [
        ([1, 2], None, "got 2 for 1 images"),
        ([1.5], None, r"seeds must be whole numbers, got \[1\.5\]"),
        (None, [torch.Generator(), torch.Generator()], "got 2 for 1 images"),
        (1, torch.Generator(), "either seeds or a generator"),
        ([-1], None, r"must be in \[0, 2\*\*63\), got \[-1\]"),
    ],
)
def test_what_names_no_seed_per_image_is_refused(seeds: Any, generator: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        seeds_of_images(seeds, generator, 1, 1)
