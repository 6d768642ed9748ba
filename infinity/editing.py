"""What bitwise scales give for free: images through their bits, partial images, variations, edits by prompt.

An image is a pyramid of bits, coarse to fine. Its first scales hold the layout and the colours, the last ones
the details, so keeping the first scales of an image and drawing the rest anew gives variations (with the same
prompt) or an edit that keeps the layout (with another prompt).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from infinity.images import fit_image, open_image, to_pil, to_tensor
from infinity.packed_bits import read_bits, write_bits
from infinity.pipeline import InfinityPipeline
from infinity.resample import bilinear_up
from infinity.sampling.known import KnownBits
from infinity.sampling.results import PipelineOutput
from infinity.sampling.settings import aspect_ratio_of
from infinity.schedules import nearest_aspect_ratio

__all__ = [
    "coarse_to_fine",
    "image_ratio",
    "load_bits",
    "read_image",
    "reconstruct",
    "reconstruct_bits",
    "redraw",
    "save_bits",
]


def reconstruct(pipeline: InfinityPipeline, images: Sequence[Image.Image]) -> PipelineOutput:
    """Images of one size through the tokenizer: what the bits keep of them, and the bits."""
    images_B3HW = to_tensor(images)
    schedule = pipeline.schedule(image_ratio(pipeline, images[0]))
    codes = pipeline.tokenize(images_B3HW, schedule)
    return PipelineOutput(to_pil(pipeline.decode(codes.features_BDHW)), codes.bits, [])


def reconstruct_bits(pipeline: InfinityPipeline, bits: Sequence[Tensor]) -> list[Image.Image]:
    """Images from the bits (B, D, h, w) of all scales."""
    return coarse_to_fine(pipeline, bits)[-1]


def coarse_to_fine(pipeline: InfinityPipeline, bits: Sequence[Tensor]) -> list[list[Image.Image]]:
    """For every scale, the B images that the bits (B, D, h, w) of all scales up to it decode to."""
    codes_from_bits = pipeline.vae.quantizer.quantizer.codes_from_bits
    size = (bits[-1].shape[-2], bits[-1].shape[-1])
    codes = torch.stack([bilinear_up(codes_from_bits(scale.to(pipeline.device)), size) for scale in bits])
    return [to_pil(pipeline.decode(features_BDHW)) for features_BDHW in codes.cumsum(dim=0)]


def redraw(
    pipeline: InfinityPipeline,
    bits: Sequence[Tensor],
    prompts: str | Sequence[str],
    *,
    keep_scales: int,
    **arguments: Any,
) -> PipelineOutput:
    """Keep the first scales of an image and draw the others anew.

    Args:
        bits: of all scales (B or 1, D, h, w): of every image to be drawn, or of one for all.
        prompts: those of the image for variations, others for an edit.
        keep_scales: how many to keep; the fewer, the more changes.
        arguments: of the pipeline. The image's own seed draws the same random numbers again.
    """
    if not 0 <= keep_scales <= len(bits):
        raise ValueError(f"keep_scales must be in [0, {len(bits)}], got {keep_scales}")
    num_prompts = 1 if isinstance(prompts, str) else len(prompts)
    num_images = num_prompts * arguments.get("num_images_per_prompt", 1)
    if len(bits[0]) not in (1, num_images):
        raise ValueError(
            f"pass the bits of one image, or of as many as are drawn: got {len(bits[0])} for {num_images}"
        )
    stride = pipeline.vae.config.stride
    height, width = bits[-1].shape[-2] * stride, bits[-1].shape[-1] * stride
    return pipeline(prompts, known=KnownBits(bits[:keep_scales]), height=height, width=width, **arguments)


def save_bits(pipeline: InfinityPipeline, bits: Sequence[Tensor], path: Path) -> None:
    """Store images as their bits, packed; d bits per latent cell of every scale and a small header."""
    write_bits(path, bits, tokenizer=pipeline.vae_sha256)


def load_bits(pipeline: InfinityPipeline, path: Path) -> tuple[Tensor, ...]:
    """Bits (B, D, h, w) of every scale that :func:`save_bits` stored with the same tokenizer."""
    packed = read_bits(path)
    if packed.tokenizer != pipeline.vae_sha256:
        raise ValueError(
            f"{path} was written with another tokenizer, whose bits mean something else; "
            f"take the model whose vae/ has the SHA-256 {packed.tokenizer[:16]}..."
        )
    if (found := packed.bits[0].shape[1]) != (expected := pipeline.vae.config.num_bits):
        raise ValueError(f"{path} is damaged: its cells have {found} bits, its tokenizer's have {expected}")
    sizes = [tuple(scale.shape[-2:]) for scale in packed.bits]
    patchify = pipeline.vae.config.patchify
    schedules = [pipeline.schedule(ratio).latent(patchify) for ratio in pipeline.resolution.aspect_ratios]
    if sizes not in [[tuple(scale) for scale in schedule] for schedule in schedules]:
        raise ValueError(
            f"{path} holds scales of {', '.join(f'{h}x{w}' for h, w in sizes)} cells, which is no image size "
            "of this model; take the model that wrote it"
        )
    return packed.bits


def read_image(pipeline: InfinityPipeline, path: Path) -> Image.Image:
    """An image file, scaled and cropped to the nearest of the model's sizes."""
    image = open_image(path)
    ratio = nearest_aspect_ratio(image.height, image.width, pipeline.resolution.aspect_ratios)
    return fit_image(image, *pipeline.resolution.image_size(ratio))


def image_ratio(pipeline: InfinityPipeline, image: Image.Image) -> float:
    """The model's aspect ratio for images of this size."""
    return aspect_ratio_of(pipeline.resolution, image.height, image.width)
