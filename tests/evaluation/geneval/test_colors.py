"""Which pixels CLIP is shown, and what is made of its answer; the encoder sees mean colours."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.geneval.colors import ColorClassifier, crop_of
from evaluation.geneval.detections import Detection
from evaluation.geneval.vocabulary import COLORS
from tests.evaluation.geneval.conftest import RGB, MeanColorClip


def blob(color: tuple[int, int, int], around: tuple[int, int, int]) -> tuple[np.ndarray, Detection]:
    """A disc on some background, and its detection."""
    y, x = np.mgrid[:40, :60]
    mask = (y - 20) ** 2 + (x - 30) ** 2 < 100
    image = np.where(mask[..., None], color, around).astype(np.uint8)
    return image, Detection(name="car", box=(20.0, 10.0, 41.0, 31.0), score=0.9, mask_HW=mask)


def test_the_crop_is_the_object_on_grey() -> None:
    image, one = blob((250, 0, 0), (0, 0, 250))
    crop = np.asarray(crop_of(image, one))
    assert crop.shape == (21, 21, 3)
    inside = one.mask_HW[10:31, 20:41]
    assert (crop[inside] == (250, 0, 0)).all()
    assert (crop[~inside] == 0x99).all()


def test_without_a_mask_the_box_is_shown_as_it_is() -> None:
    image, one = blob((250, 0, 0), (0, 0, 250))
    boxed = Detection(name="car", box=(20.4, 10.4, 40.6, 30.6), score=0.9)  # sides are rounded
    np.testing.assert_array_equal(np.asarray(crop_of(image, boxed)), image[10:31, 20:41])


@pytest.mark.parametrize("color", COLORS)
def test_the_nearest_color_wins_whatever_is_around(clip: MeanColorClip, color: str) -> None:
    image, one = blob(RGB[color], around=RGB["blue" if color != "blue" else "red"])
    full = Detection(name="car", box=(25.0, 15.0, 36.0, 26.0), score=0.9, mask_HW=one.mask_HW)
    logits = ColorClassifier(clip)(image, [full])
    assert logits.shape == (1, 10)
    assert COLORS[int(logits.argmax())] == color


def test_three_phrases_a_color_are_read_once_per_class(clip: MeanColorClip) -> None:
    image, one = blob((250, 0, 0), (0, 0, 250))
    classify = ColorClassifier(clip)
    classify(image, [one, one])
    classify(image, [one])
    assert len(clip.phrases) == 30
    assert clip.phrases[:3] == [
        "a photo of a red car",
        "a photo of a red-colored car",
        "a photo of a red object",
    ]


def test_logits_are_a_hundred_times_the_cosine(clip: MeanColorClip) -> None:
    image, one = blob(RGB["green"], RGB["green"])
    inside = Detection(name="car", box=(28.0, 18.0, 32.0, 22.0), score=0.9, mask_HW=one.mask_HW)
    logits = ColorClassifier(clip)(image, [inside])
    assert logits[0, COLORS.index("green")] == pytest.approx(100, abs=1e-3)
    assert logits.max() == logits[0, COLORS.index("green")]
