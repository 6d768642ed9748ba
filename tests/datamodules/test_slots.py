"""Pixels handed over in shared memory that is used again and again."""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import pytest
import torch

from datamodules.reader import to_float
from datamodules.slots import PixelSlots
from tests.datamodules.conftest import MakeModule


def drawn(rng: np.random.Generator, num: int, height: int = 4, width: int = 6) -> list[np.ndarray]:
    return list(rng.integers(0, 256, (num, height, width, 3), dtype=np.uint8))


def test_what_is_written_is_read_until_the_slots_turn_comes_again() -> None:
    rng = np.random.default_rng(0)
    slots = PixelSlots(3, 5 * 4 * 6 * 3)
    batches = [drawn(rng, 5), drawn(rng, 2), drawn(rng, 4, 6, 4), drawn(rng, 3)]
    places = [slots.write(number, images) for number, images in enumerate(batches[:3])]
    for place, images in zip(places, batches, strict=False):
        assert place is not None
        assert np.array_equal(slots.read(place).permute(0, 2, 3, 1).numpy(), np.stack(images))
    fourth = slots.write(3, batches[3])
    assert fourth is not None
    assert fourth.slot == places[0].slot
    assert torch.equal(slots.read(fourth)[1], torch.from_numpy(batches[3][1]).permute(2, 0, 1))


def test_a_batch_that_is_too_large_is_not_written() -> None:
    rng = np.random.default_rng(0)
    slots = PixelSlots(1, 2 * 4 * 6 * 3)
    assert slots.write(0, drawn(rng, 2)) is not None
    assert slots.write(1, drawn(rng, 3)) is None


@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes")
@pytest.mark.parametrize(("num_workers", "prefetch"), [(1, 1), (3, 2)])
def test_workers_that_run_ahead_overwrite_no_batch_before_it_is_used(
    make_module: MakeModule, num_workers: int, prefetch: int
) -> None:
    alone, many = make_module(), make_module(num_workers=num_workers, prefetch=prefetch)
    straight, slotted = alone.train_dataloader(), many.train_dataloader()
    for count in (3, len(straight), 5):  # passes that are left early, and one that isn't
        for expected, batch in zip(islice(straight, count), islice(slotted, count), strict=True):
            assert batch.keys == expected.keys
            assert torch.equal(batch.images_B3HW, expected.images_B3HW)
            time.sleep(0.005)  # for workers to fill all slots
    many.teardown()


def test_pixels_become_the_same_floats_in_numpy_and_in_torch() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, -1, -1)
    assert torch.equal(to_float(pixels), pixels.float().div(127.5).sub(1.0))
