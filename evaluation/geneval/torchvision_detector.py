"""Mask R-CNN of torchvision as a detector for GenEval: close to the official one, but not it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from evaluation.geneval.detections import Detection
from evaluation.geneval.vocabulary import CLASSES
from evaluation.provenance import sha256_of
from infinity.checkpoints.torch_files import read_checkpoint

__all__ = ["MaskRcnnDetector", "load_mask_rcnn"]

# Labels run to 90, as COCO's ids do, of which 80 are in use.
_GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_NAMES = dict(zip((i for i in range(1, 91) if i not in _GAPS), CLASSES, strict=True))


class MaskRcnnDetector:
    """Detects with a Mask R-CNN that tells COCO's classes by COCO's ids."""

    is_official = False

    def __init__(self, net: nn.Module, *, id: str, device: str | torch.device = "cpu") -> None:
        self.id = id
        self._device = device
        self._net: Any = net.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def __call__(self, image_HW3: np.ndarray, min_score: float = 0.0) -> list[Detection]:
        pixels_3HW = torch.from_numpy(image_HW3.copy()).permute(2, 0, 1).to(self._device) / 255
        (found,) = self._net([pixels_3HW])
        keep = found["scores"] > min_score
        fields = (found[key][keep].cpu() for key in ("labels", "boxes", "scores", "masks"))
        return [
            Detection(
                name=_NAMES[int(label)],
                box=tuple(box.tolist()),
                score=float(score),
                mask_HW=(mask_1HW[0] > 0.5).numpy(),
            )
            for label, box, score, mask_1HW in zip(*fields, strict=True)
        ]


def load_mask_rcnn(weights: Path, device: str | torch.device = "cpu") -> MaskRcnnDetector:
    """``maskrcnn_resnet50_fpn_v2`` from its published file."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    net = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    net.load_state_dict(read_checkpoint(weights), strict=True)
    return MaskRcnnDetector(net, id=f"maskrcnn-v2-{sha256_of(weights)[:8]}", device=device)
