"""A detector that misses what is plainly there is refused."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation.geneval.detections import Detection
from evaluation.geneval.detector_check import PHOTOGRAPHS, check_detector
from evaluation.geneval.detectors import DETECTORS, build_detector
from evaluation.weights import WeightFinder

pytest.importorskip("skimage", reason="scikit-image is not installed")


class Knowing:
    """Has seen the photographs before, by their sizes."""

    id = "knowing"
    is_official = False
    sizes = ((512, 512), (300, 451), (400, 600), (500, 741))

    def __init__(self, shift: float = 0.0, score: float = 0.9) -> None:
        self._shift, self._score = shift, score

    def __call__(self, image_HW3: np.ndarray, min_score: float = 0.0) -> list[Detection]:
        name, (x1, y1, x2, y2) = list(PHOTOGRAPHS.values())[self.sizes.index(image_HW3.shape[:2])]
        box = (x1 + self._shift, y1, x2 + self._shift, y2)
        return [Detection(name=name, box=box, score=self._score)] if self._score > min_score else []


def test_a_detector_that_sees_them_passes() -> None:
    assert check_detector(Knowing(shift=20)) == ()


@pytest.mark.parametrize("blind", [Knowing(score=0.3), Knowing(shift=300)])
def test_a_detector_that_does_not_is_refused(blind: Knowing) -> None:
    with pytest.raises(
        ValueError, match=r"does not see the person of astronaut\.png, the cat of chelsea\.png"
    ):
        check_detector(blind)


@pytest.mark.weights
@pytest.mark.parametrize("name", DETECTORS)
def test_published_detectors_see_the_photographs(name: str) -> None:
    weights = WeightFinder()
    if weights.find(DETECTORS[name].weights) is None:
        pytest.skip(f"no {DETECTORS[name].weights.file} under $INFINITY_WEIGHTS")
    detector = build_detector(name, weights)
    assert check_detector(detector) == ()
    assert detector.is_official == (name == "mask2former")
