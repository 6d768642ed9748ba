"""A detector is tried on four photographs before any image is judged.

A wrong config or damaged weights leave a detector that runs and finds next to nothing (GenEval's issues 15
and 21), so that scores would be low without any error. The photographs come with scikit-image.
"""

from __future__ import annotations

from pathlib import Path

from evaluation.geneval.detections import Detector
from evaluation.geneval.scoring import GenEvalRule, box_overlap
from evaluation.image_folders import read_image

__all__ = ["PHOTOGRAPHS", "check_detector"]

PHOTOGRAPHS = {
    "astronaut.png": ("person", (20.0, 15.0, 365.0, 512.0)),
    "chelsea.png": ("cat", (0.0, 0.0, 400.0, 300.0)),
    "coffee.png": ("cup", (172.0, 18.0, 408.0, 305.0)),
    "motorcycle_left.png": ("motorcycle", (95.0, 90.0, 690.0, 455.0)),
}
"""The object in the middle of each, and its box, marked by hand."""

_MIN_OVERLAP = 0.5


def check_detector(detector: Detector, rule: GenEvalRule = GenEvalRule()) -> tuple[str, ...]:
    """Refuse a detector that misses what is there; the caveats, where it could not be tried."""
    try:
        import skimage
    except ImportError:
        return (f"The detector {detector.id} was not tried on photographs, as scikit-image is missing.",)
    folder = Path(skimage.__file__).parent / "data"
    missed = [
        f"the {name} of {file}"
        for file, (name, box) in PHOTOGRAPHS.items()
        if not any(
            one.name == name and box_overlap(one.box, box) >= _MIN_OVERLAP
            for one in detector(read_image(folder / file), rule.threshold)
        )
    ]
    if missed:
        raise ValueError(
            f"the detector {detector.id} does not see {', '.join(missed)} in scikit-image's photographs; its "
            "weights are damaged or of another model, get them again"
        )
    return ()
