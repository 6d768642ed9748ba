"""Features of vision transformers from a local directory of Hugging Face's: DINOv2's and CLIP's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluation.features import features_in_batches
from evaluation.resizing import centre_square, pil_bicubic
from infinity.checkpoints.io import hash_weights

__all__ = ["ClipFeatures", "DinoV2Features"]

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_VIT_L_14 = {"hidden_size": 1024, "num_hidden_layers": 24, "patch_size": 14}


class DinoV2Features:
    """Class tokens of DINOv2, as FD-DINOv2 takes them (dgm-eval, arXiv 2306.04675).

    Images are resized to 224 x 224 by Pillow's bicubic filter, whatever their aspect ratio. Any model but
    ViT-L/14 is a stand-in.
    """

    def __init__(self, directory: str | Path, device: str | torch.device = "cpu") -> None:
        from transformers import Dinov2Model

        net = _load(Dinov2Model, directory)
        digest = hash_weights(net.state_dict())[:8]
        self.id = f"dinov2-{digest},pil-bicubic-224"
        self.is_stand_in = not _is_vit_l_14(net.config)
        self._device = device
        embeddings = net.embeddings
        positions = _positions_of_the_original(embeddings.position_embeddings, 224 // net.config.patch_size)
        embeddings.position_embeddings = nn.Parameter(positions, requires_grad=False)
        self._net = net.eval().to(device)

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        return features_in_batches(images_NHW3, self._features, self._device)

    def _features(self, images_B3HW: Tensor) -> Tensor:
        pixels = _normalized(pil_bicubic(images_B3HW, 224), *_IMAGENET)
        return self._net(pixel_values=pixels).last_hidden_state[:, 0]


class ClipFeatures:
    """CLIP's projected embeddings, as CMMD takes them (arXiv 2401.09603).

    The middle square of an image is resized by Pillow's bicubic filter. Any model but ViT-L/14 at 336 pixels
    is a stand-in.
    """

    def __init__(self, directory: str | Path, device: str | torch.device = "cpu") -> None:
        from transformers import CLIPVisionModelWithProjection

        net = _load(CLIPVisionModelWithProjection, directory)
        self._size = net.config.image_size
        self.id = f"clip-{hash_weights(net.state_dict())[:8]},centre-crop,pil-bicubic-{self._size}"
        self.is_stand_in = not (_is_vit_l_14(net.config) and self._size == 336)
        self._device = device
        self._net = net.eval().to(device)

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        return features_in_batches(images_NHW3, self._features, self._device)

    def _features(self, images_B3HW: Tensor) -> Tensor:
        pixels = _normalized(pil_bicubic(centre_square(images_B3HW), self._size), *_CLIP)
        return self._net(pixel_values=pixels).image_embeds


def _load(kind: Any, directory: str | Path) -> Any:
    if not (Path(directory) / "config.json").is_file():
        raise ValueError(f"{directory} holds no config.json; clone the whole model from the Hugging Face hub")
    net = kind.from_pretrained(directory, local_files_only=True, dtype=torch.float32)
    return net.requires_grad_(False)


def _is_vit_l_14(config: Any) -> bool:
    return all(getattr(config, name) == value for name, value in _VIT_L_14.items())


def _positions_of_the_original(positions_1ND: Tensor, side: int) -> Tensor:
    """Position embeddings for side x side patches as the original's code interpolates them.

    It adds 0.1 to the number of patches in the *scale*, which shifts the sampling points a little; Hugging
    Face's port goes by the size alone.
    """
    own_side = round((positions_1ND.shape[1] - 1) ** 0.5)
    if own_side == side:
        return positions_1ND
    grid = positions_1ND[:, 1:].unflatten(1, (own_side, own_side)).permute(0, 3, 1, 2)
    scale = (side + 0.1) / own_side
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat([positions_1ND[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def _normalized(images_B3HW: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    mean_311, std_311 = (images_B3HW.new_tensor(values)[:, None, None] for values in (mean, std))
    return (images_B3HW / 255 - mean_311) / std_311
