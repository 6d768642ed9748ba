"""Redraw a part of an image, or draw what lies around it: known bits are forced, scale by scale.

A latent cell is known if all its pixels are; which bits the known part dictates at every scale is decided by
:class:`infinity.sampling.known.KnownFeatures`. Unknown pixels are replaced by a smooth continuation of the
known ones before the image is encoded, so that nothing of them leaks through the encoder's convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image, ImageChops
from torch import Tensor

from infinity.editing import image_ratio
from infinity.images import fit_image, to_tensor
from infinity.pipeline import InfinityPipeline
from infinity.resample import area_down
from infinity.sampling.known import KnownFeatures
from infinity.sampling.results import PipelineOutput

__all__ = ["fill_unknown", "inpaint", "known_features", "outpaint", "place_on_canvas"]


def inpaint(
    pipeline: InfinityPipeline,
    image: Image.Image,
    mask: Image.Image,
    prompts: str | Sequence[str],
    *,
    composite: bool = True,
    **arguments: Any,
) -> PipelineOutput:
    """Draw a part of an image anew.

    Args:
        image: of one of the model's sizes.
        mask: of the same size, brighter than half where the image shall be redrawn.
        prompts: describe the whole result.
        composite: put the known pixels back untouched; otherwise they have been through the tokenizer.
        arguments: of the pipeline.
    """
    if mask.size != image.size:
        raise ValueError(
            f"the mask must have the size of the image, {image.height}x{image.width}, "
            f"got {mask.height}x{mask.width}"
        )
    ratio = image_ratio(pipeline, image)
    redrawn = mask.convert("L").point([0] * 128 + [255] * 128)
    if redrawn.getextrema() in ((0, 0), (255, 255)):
        raise ValueError(
            "the mask must be bright where the image is redrawn and dark elsewhere, not all alike; of an "
            "image that was cut to the model's size, mark a part of the middle"
        )
    output = pipeline(
        prompts, known=known_features(pipeline, image, redrawn), aspect_ratio=ratio, **arguments
    )
    return output._replace(images=_put_back(output.images, image, redrawn)) if composite else output


def outpaint(
    pipeline: InfinityPipeline,
    image: Image.Image,
    prompts: str | Sequence[str],
    *,
    aspect_ratio: float | None = None,
    scale: float = 0.5,
    position: tuple[float, float] = (0.5, 0.5),
    composite: bool = True,
    **arguments: Any,
) -> PipelineOutput:
    """Draw what lies around an image.

    Args:
        aspect_ratio: of the result.
        scale: size of the image in it, relative to the largest that fits.
        position: where the image lies: (0, 0) in the top left corner, (0.5, 1) at the middle of the bottom.
        composite, arguments: see :func:`inpaint`.
    """
    ratio = pipeline.settings(aspect_ratio=aspect_ratio).aspect_ratio
    canvas, mask = place_on_canvas(image, pipeline.resolution.image_size(ratio), scale, position)
    return inpaint(pipeline, canvas, mask, prompts, composite=composite, **arguments)


def place_on_canvas(
    image: Image.Image, size: tuple[int, int], scale: float, position: tuple[float, float]
) -> tuple[Image.Image, Image.Image]:
    """An image on a larger canvas of `size` = (height, width), and the mask of what is not the image."""
    if not 0 < scale <= 1 or not all(0 <= part <= 1 for part in position):
        raise ValueError(
            f"scale must be in (0, 1] and position within [0, 1], got {scale} and {tuple(position)}"
        )
    zoom = scale * min(size[0] / image.height, size[1] / image.width)
    height, width = max(1, round(image.height * zoom)), max(1, round(image.width * zoom))
    if (height, width) == size:
        raise ValueError(
            f"an image at scale {scale} fills all of {size[0]}x{size[1]} pixels: take a smaller scale, "
            "or another aspect ratio"
        )
    corner = (round(position[1] * (size[1] - width)), round(position[0] * (size[0] - height)))
    canvas = Image.new("RGB", (size[1], size[0]))
    canvas.paste(fit_image(image.convert("RGB"), height, width), corner)
    mask = Image.new("L", canvas.size, 255)
    mask.paste(0, (*corner, corner[0] + width, corner[1] + height))
    return canvas, mask


def known_features(pipeline: InfinityPipeline, image: Image.Image, redrawn: Image.Image) -> KnownFeatures:
    """The features that are known of an image where the mask `redrawn` (of 0 and 255) is dark."""
    known_11HW = to_tensor([ImageChops.invert(redrawn)])[:, :1] > 0
    stride = pipeline.vae.config.stride
    known_cells = -F.max_pool2d(-known_11HW.float(), stride) > 0
    features_1DHW = pipeline.encode(fill_unknown(to_tensor([image]), known_11HW))
    return KnownFeatures(features_1DHW, known_cells.to(pipeline.device), pipeline.vae.quantizer.quantizer)


def _put_back(images: Any, image: Image.Image, redrawn: Image.Image) -> Any:
    """Drawn images (PIL or tensors) with the known pixels of `image` put back."""
    if isinstance(images, list):
        return [Image.composite(drawn, image.convert("RGB"), redrawn) for drawn in images]
    known_11HW = to_tensor([redrawn])[:, :1] < 0
    return torch.where(
        known_11HW.to(images.device), to_tensor([image]).add(1).div(2).to(images.device), images
    )


def fill_unknown(images_B3HW: Tensor, known_B1HW: Tensor) -> Tensor:
    """Continue the known pixels smoothly into the unknown ones, which have no influence on the result.

    An unknown pixel takes the mean of the known ones in the smallest window around it that has any: windows
    are the cells of grids that get coarser by a factor of two.
    """
    weights_B1HW = known_B1HW.to(images_B3HW.dtype)
    sums_B3HW = torch.where(known_B1HW, images_B3HW, 0)
    filled_B3HW, done_B1HW = sums_B3HW, known_B1HW
    height, width = images_B3HW.shape[-2:]
    while not done_B1HW.all():
        height, width = max(1, height // 2), max(1, width // 2)
        weights_bhw = area_down(weights_B1HW, (height, width))
        means_bhw = area_down(sums_B3HW, (height, width)) / weights_bhw.clamp_min(1e-12)
        size = images_B3HW.shape[-2:]
        found_B1HW = F.interpolate((weights_bhw > 0).float(), size=size) > 0
        means_B3HW = F.interpolate(means_bhw, size=size)
        filled_B3HW = torch.where(done_B1HW, filled_B3HW, means_B3HW)
        done_B1HW = done_B1HW | found_B1HW
        if (height, width) == (1, 1):  # nothing at all is known
            break
    return filled_B3HW
