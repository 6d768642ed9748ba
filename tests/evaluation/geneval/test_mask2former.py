"""The detector, against numbers that MMDetection 2.28.2 gave for the same weights and image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.geneval.detectors import build_detector
from evaluation.geneval.mask2former import Mask2FormerDetector, prepare_image
from evaluation.geneval.mmdet_keys import load_mmdet
from evaluation.weights import WeightFinder
from tests.evaluation.geneval.conftest import mmdet_weights, to_mmdet

# From MMDetection's own network and inference_detector; all 100 detections agree with ours.
CLASS_LOGITS = [2.6681309, -2.0413384, -0.0731118, 1.8138539, -3.1606932, -1.1344872]
MASK_LOGITS = [14.6729021, -18.649334, -14.4231653]
BEST = [("apple", 0.2844988, 2430), ("apple", 0.2806309, 2412), ("apple", 0.2786418, 2299)]
TENTH = ("book", 0.2635834, 2338)


@pytest.fixture
def detector(tiny_net: Any) -> Mask2FormerDetector:
    load_mmdet(tiny_net, mmdet_weights(to_mmdet(tiny_net)))
    return Mask2FormerDetector(tiny_net, id="tiny", is_official=False)


@pytest.fixture
def image() -> np.ndarray:
    y, x = np.mgrid[:20, :160]
    channels = [(3 * x + y) % 256, (x * y // 4) % 256, (255 - 2 * y + (x // 30) * 40) % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def test_logits_are_those_of_mmdetection(
    tiny_net: Any, detector: Mask2FormerDetector, image: np.ndarray
) -> None:
    with torch.inference_mode():
        outputs = tiny_net(pixel_values=prepare_image(image)[0])
    classes, masks = outputs.class_queries_logits[0], outputs.masks_queries_logits[0]
    # sums of many layers; MMDetection adds up in another order
    np.testing.assert_allclose(classes[0, :6].numpy(), CLASS_LOGITS, rtol=1e-3, atol=1e-3)
    points = masks[[0, 3, 9], [5, 20, 41], [7, 150, 300]]
    np.testing.assert_allclose(points.numpy(), MASK_LOGITS, rtol=1e-3, atol=1e-3)


def test_detections_are_those_of_mmdetection(detector: Mask2FormerDetector, image: np.ndarray) -> None:
    found = sorted(detector(image, min_score=0.2), key=lambda one: -one.score)
    for one, (name, score, area) in zip([*found[:3], found[9]], [*BEST, TENTH], strict=True):
        assert (one.name, one.box) == (name, (0.0, 0.0, 160.0, 20.0))
        assert one.score == pytest.approx(score, abs=1e-4)
        assert one.mask_HW is not None
        assert one.mask_HW.shape == (20, 160)
        assert one.mask_HW.sum() == pytest.approx(area, abs=5)
    assert all(one.score > 0.2 for one in found)


@pytest.mark.parametrize(
    ("size", "inner", "padded"),
    [
        ((100, 150), (800, 1200), (800, 1216)),
        ((1024, 1024), (800, 800), (800, 800)),
        ((333, 77), (1333, 308), (1344, 320)),
        ((512, 2048), (333, 1333), (352, 1344)),
    ],
)
def test_images_are_fitted_and_padded_as_mmdetection_does(size: Any, inner: Any, padded: Any) -> None:
    pixels, found = prepare_image(np.full((*size, 3), 128, np.uint8))
    assert (found, tuple(pixels.shape)) == (inner, (1, 3, *padded))
    # grey of the padding's own value, normalised with the means and deviations of red, green, blue
    expected = (128 - torch.tensor([123.675, 116.28, 103.53])) / torch.tensor([58.395, 57.12, 57.375])
    torch.testing.assert_close(pixels, expected[None, :, None, None].expand_as(pixels))


def test_a_folder_of_hugging_face_is_read_and_named_by_its_weights(tiny_net: Any, tmp_path: Path) -> None:
    tiny_net.save_pretrained(tmp_path)
    detector = build_detector("hf-mask2former", WeightFinder({"hf-mask2former": tmp_path}))
    assert detector.id.startswith("hf-mask2former-")
    assert not detector.is_official


def test_a_folder_of_another_model_is_refused(tiny_net: Any, tmp_path: Path) -> None:
    finder = WeightFinder({"hf-mask2former": tmp_path})
    with pytest.raises(ValueError, match=r"no config\.json"):
        build_detector("hf-mask2former", finder)
    transformers = pytest.importorskip("transformers")
    config = tiny_net.config
    config.num_labels = 7
    transformers.Mask2FormerForUniversalSegmentation(config).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="tells 7 classes"):
        build_detector("hf-mask2former", finder)


def test_missing_weights_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"743b7d99\.pth \(sha256 743b7d99\) is needed"):
        build_detector("mask2former", WeightFinder())
