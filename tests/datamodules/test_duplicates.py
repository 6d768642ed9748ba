from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from datamodules.duplicates import SIGNATURE, LookAlikes, find_look_alikes, keep_one_of_each, signature_of
from tests.datamodules.drawn import encoded, texture


def drawn_signatures(rng: np.random.Generator, size: int) -> np.ndarray:
    """A few random ones, and copies with up to 6 bits and colors changed."""
    signatures = np.zeros(size, SIGNATURE)
    signatures["hash"] = rng.integers(0, 2**64, size, np.uint64)
    signatures["colors"] = rng.integers(0, 256, (size, 48))
    for place in range(size // 3, size):
        source = rng.integers(size // 3)
        bits = rng.choice(64, rng.integers(7), replace=False).astype(np.uint64)
        signatures["hash"][place] = signatures["hash"][source] ^ np.sum(np.uint64(1) << bits, dtype=np.uint64)
        shift = rng.integers(-12, 13)
        signatures["colors"][place] = np.clip(signatures["colors"][source].astype(int) + shift, 0, 255)
    return signatures


def alike(signatures: np.ndarray, max_distance: int, max_color: float) -> np.ndarray:
    """All pairs compared: bool (N, N)."""
    bits = np.bitwise_count(signatures["hash"][:, None] ^ signatures["hash"])
    colors = signatures["colors"].astype(int)
    return (bits <= max_distance) & (np.abs(colors[:, None] - colors).mean(2) <= max_color)


def as_matrix(found: LookAlikes) -> np.ndarray:
    classes = np.eye(found.num_classes, dtype=bool)
    classes[found.first, found.second] = classes[found.second, found.first] = True
    return classes[found.classes][:, found.classes]


@pytest.mark.parametrize("max_distance", [0, 1, 3, 7])
def test_bands_find_what_comparing_all_pairs_finds(max_distance: int) -> None:
    signatures = drawn_signatures(np.random.default_rng(max_distance), 240)
    expected = alike(signatures, max_distance, 5.0)
    assert expected.sum() > 260  # pairs are there to be found
    assert np.array_equal(as_matrix(find_look_alikes(signatures, max_distance, 5.0)), expected)


def test_what_stays_has_no_look_alikes_and_what_goes_has_a_kept_one() -> None:
    rng = np.random.default_rng(5)
    signatures = drawn_signatures(rng, 200)
    preference = rng.integers(0, 4, 200).astype(float)
    near = alike(signatures, 3, 8.0)
    twins, bits = keep_one_of_each(find_look_alikes(signatures, 3, 8.0), preference)
    kept = np.flatnonzero(twins < 0)
    assert 60 < len(kept) < 200
    assert np.array_equal(near[np.ix_(kept, kept)], np.eye(len(kept), dtype=bool))
    for place in np.flatnonzero(twins >= 0):
        twin = twins[place]
        assert twins[twin] < 0
        assert near[place, twin]
        assert bits[place] == np.bitwise_count(signatures["hash"][place] ^ signatures["hash"][twin])
        assert preference[twin] >= preference[place]


def test_of_copies_the_preferred_one_stays() -> None:
    signatures = np.repeat(drawn_signatures(np.random.default_rng(0), 3)[:1], 4)
    twins, _ = keep_one_of_each(find_look_alikes(signatures, 3, 6.0), np.array([1.0, 3.0, 3.0, 2.0]))
    assert twins.tolist() == [1, -1, 1, 1]


def test_smaller_and_compressed_copies_look_alike_and_other_pictures_do_not() -> None:
    image = texture(0, 96, 96)
    copies = [image, image.resize((60, 60)), Image.open(io.BytesIO(encoded(image, "jpeg", quality=40)))]
    signatures = np.array([signature_of(one) for one in (*copies, texture(1, 96, 96))])
    twins, _ = keep_one_of_each(find_look_alikes(signatures, 3, 6.0), np.zeros(4))
    assert twins.tolist() == [-1, 0, 0, -1]


def test_the_same_shape_in_another_color_is_another_picture() -> None:
    pictures = []
    for color in ("#ff0000", "#0000ff"):
        picture = Image.new("RGB", (64, 64), "#808080")
        ImageDraw.Draw(picture).ellipse((12, 12, 52, 52), color)
        pictures.append(picture)
    signatures = np.array([signature_of(picture) for picture in pictures])
    assert signatures["hash"][0] == signatures["hash"][1]  # greys alone can't tell
    assert not len(find_look_alikes(signatures, 3, 6.0).first)


def test_distances_that_the_bands_cannot_serve_are_refused() -> None:
    with pytest.raises(ValueError, match=r"max_distance must be in \[0, 7\] of 64 bits, got 8"):
        find_look_alikes(np.zeros(2, SIGNATURE), 8, 6.0)
