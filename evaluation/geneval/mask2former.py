"""GenEval's detector without MMDetection: Mask2Former with Swin-S on COCO, through transformers.

Images are prepared, and logits turned into instances, as MMDetection 2's test pipeline does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.geneval.detections import Detection
from evaluation.geneval.instances import instances_of
from evaluation.geneval.mmdet_keys import load_mmdet
from evaluation.geneval.vocabulary import CLASSES
from evaluation.geneval.weight_files import MASK2FORMER
from evaluation.provenance import sha256_of
from infinity.checkpoints.torch_files import read_checkpoint

__all__ = ["Mask2FormerDetector", "load_hf_mask2former", "load_mask2former", "prepare_image"]

_LONG, _SHORT, _DIVISOR, _PADDING = 1333, 800, 32, 128
_MEAN = np.array((123.675, 116.28, 103.53), np.float32)
_STD = np.array((58.395, 57.12, 57.375), np.float32)


class Mask2FormerDetector:
    """Detects with any Mask2Former that tells GenEval's classes in COCO's order.

    Args:
        net: a ``Mask2FormerForUniversalSegmentation``.
    """

    def __init__(
        self, net: nn.Module, *, id: str, is_official: bool, device: str | torch.device = "cpu"
    ) -> None:
        self.id = id
        self.is_official = is_official
        self._device = device
        self._net: Any = net.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def __call__(self, image_HW3: np.ndarray, min_score: float = 0.0) -> list[Detection]:
        pixels_1CHW, inner = prepare_image(image_HW3)
        outputs = self._net(pixel_values=pixels_1CHW.to(self._device))
        masks_QHW = outputs.masks_queries_logits[0].float()

        def mask_logits_of(query: int) -> Tensor:
            padded_11HW = _resized(masks_QHW[query][None, None], pixels_1CHW.shape[-2:])
            inside_11HW = padded_11HW[..., : inner[0], : inner[1]]
            return _resized(inside_11HW, image_HW3.shape[:2])[0, 0]

        found = instances_of(outputs.class_queries_logits[0], mask_logits_of, min_score=min_score)
        return [
            Detection(name=CLASSES[one.label], box=one.box, score=one.score, mask_HW=one.mask_HW)
            for one in found
        ]


def prepare_image(image_HW3: np.ndarray) -> tuple[Tensor, tuple[int, int]]:
    """Fit into 1333 x 800 (either way round), pad to multiples of 32 and normalise.

    Returns:
        float (1, 3, H, W), and the height and width without the padding, which is below and to the right.
    """
    height, width = image_HW3.shape[:2]
    scale = min(_LONG / max(height, width), _SHORT / min(height, width))
    inner = int(height * scale + 0.5), int(width * scale + 0.5)
    resized = cv2.resize(image_HW3, inner[::-1], interpolation=cv2.INTER_LINEAR)
    padding = [(0, -side % _DIVISOR) for side in inner]
    padded = np.pad(resized, [*padding, (0, 0)], constant_values=_PADDING)
    pixels_HW3 = (padded.astype(np.float32) - _MEAN) / _STD
    return torch.from_numpy(pixels_HW3).permute(2, 0, 1)[None].contiguous(), inner


def load_mask2former(weights: Path, device: str | torch.device = "cpu") -> Mask2FormerDetector:
    """The official detector from MMDetection's checkpoint; other weights are no official detector."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    stages = [f"stage{number}" for number in range(1, 5)]
    swin = SwinConfig(embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), out_features=stages)
    net = Mask2FormerForUniversalSegmentation(
        Mask2FormerConfig(backbone_config=swin, num_labels=len(CLASSES))
    )
    content = read_checkpoint(weights)
    load_mmdet(net, content.get("state_dict", content))
    digest = sha256_of(weights)[:8]
    official = digest == MASK2FORMER.sha256
    return Mask2FormerDetector(net, id=f"mask2former-{digest}", is_official=official, device=device)


def load_hf_mask2former(directory: Path, device: str | torch.device = "cpu") -> Mask2FormerDetector:
    """A Mask2Former of the same architecture from a folder of Hugging Face's; of another training run."""
    from transformers import Mask2FormerForUniversalSegmentation

    from infinity.checkpoints.io import hash_weights

    if not (directory / "config.json").is_file():
        raise ValueError(f"{directory} holds no config.json; clone the whole model from the Hugging Face hub")
    net = Mask2FormerForUniversalSegmentation.from_pretrained(
        directory, local_files_only=True, dtype=torch.float32
    )
    if net.config.num_labels != len(CLASSES):
        raise ValueError(
            f"{directory} tells {net.config.num_labels} classes, GenEval needs COCO's {len(CLASSES)}; "
            "use facebook/mask2former-swin-small-coco-instance"
        )
    digest = hash_weights(net.state_dict())[:8]
    return Mask2FormerDetector(net, id=f"hf-mask2former-{digest}", is_official=False, device=device)


def _resized(image_11HW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image_11HW, size=tuple(size), mode="bilinear", align_corners=False)
