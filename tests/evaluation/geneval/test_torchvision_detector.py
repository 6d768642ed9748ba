"""Mask R-CNN's output as detections."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN_ResNet50_FPN_V2_Weights

from evaluation.geneval.torchvision_detector import MaskRcnnDetector
from evaluation.geneval.vocabulary import CLASSES


class Head(nn.Module):
    """Gives two objects, in the format of torchvision's detectors."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        (image_3HW,) = images
        assert image_3HW.max() <= 1
        masks = torch.zeros(2, 1, *image_3HW.shape[1:])
        masks[0, 0, 1:3, 2:5] = 0.6
        masks[1] = 0.5
        boxes = torch.tensor([[2.0, 1.0, 5.0, 3.0], [0.0, 0.0, 4.5, 4.0]])
        scores = torch.tensor([0.75, 0.25])
        return [{"labels": torch.tensor([90, 13]), "boxes": boxes, "scores": scores, "masks": masks}]


def test_labels_boxes_and_masks_are_read() -> None:
    image = np.full((6, 8, 3), 200, np.uint8)
    detector = MaskRcnnDetector(Head(), id="head")
    first, second = detector(image)
    assert (first.name, first.box, first.score) == ("toothbrush", (2.0, 1.0, 5.0, 3.0), 0.75)
    assert (first.mask_HW.shape, first.mask_HW.sum()) == ((6, 8), 6)
    assert (second.name, second.mask_HW.sum()) == ("stop sign", 0)  # 0.5 is not above one half
    assert [one.name for one in detector(image, min_score=0.25)] == ["toothbrush"]


@pytest.mark.parametrize("label", [1, 11, 13, 25, 27, 31, 90])
def test_labels_are_those_of_torchvisions_weights(label: int) -> None:
    categories = MaskRCNN_ResNet50_FPN_V2_Weights.COCO_V1.meta["categories"]
    used = [name for name in categories if name not in ("__background__", "N/A")]
    name = CLASSES[used.index(categories[label])]

    class One(Head):
        def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
            (found,) = super().forward(images)
            return [found | {"labels": torch.tensor([label, label])}]

    found = MaskRcnnDetector(One(), id="head")(np.zeros((6, 8, 3), np.uint8))
    assert {one.name for one in found} == {name}
