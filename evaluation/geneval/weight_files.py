"""Weight files of GenEval's detectors; that of its CLIP is ``evaluation.preference.weights.CLIP_L_14``."""

from __future__ import annotations

from evaluation.weights import WeightFile

__all__ = ["HF_MASK2FORMER", "MASK2FORMER", "MASK_RCNN"]

MASK2FORMER = WeightFile(
    name="geneval-detector",
    file="mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco_20220504_001756-743b7d99.pth",
    source="the model zoo of MMDetection 2 (configs/mask2former on GitHub)",
    sha256="743b7d99",  # its first digits, which MMDetection puts into file names
)
HF_MASK2FORMER = WeightFile(
    name="hf-mask2former",
    file="mask2former-swin-small-coco-instance",
    source="facebook/mask2former-swin-small-coco-instance on the Hugging Face hub (the whole folder)",
)
MASK_RCNN = WeightFile(
    name="maskrcnn-v2",
    file="maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
    source="torchvision's models (download.pytorch.org/models)",
    sha256="73cbd019",
)
