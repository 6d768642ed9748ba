"""Text in, images out: a tokenizer, a transformer and a text encoder that were trained for each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from infinity.checkpoints.io import load_infinity, load_vae, save_pretrained
from infinity.configs import config_from_dict, config_to_dict
from infinity.sampling.config import SamplingConfig
from infinity.sampling.generate import Generation, ScaleHook, generate
from infinity.schedules import Resolution, ScaleSchedule
from infinity.text import TextEncoderConfig, build_text_encoder
from infinity.transformer.model import Infinity
from infinity.types import MultiScaleCodes
from infinity.vae.model import VAE

__all__ = ["InfinityPipeline", "PipelineOutput", "image_seed", "to_uint8"]


class PipelineOutput(NamedTuple):
    """Generated images, in the order of the prompts (all images of a prompt together)."""

    images: list[Image.Image] | Tensor  # PIL images; or "pt": float (B, 3, H, W) in [0, 1]; or [] for "bits"
    bits: tuple[Tensor, ...]  # per scale: bool (B, D, h_k, w_k) in latent cells
    seeds: list[int]


class InfinityPipeline:
    """The habits of diffusers' pipelines, for Infinity.

    A saved pipeline is a directory with ``vae/`` and ``transformer/``; the transformer's ``config.json`` also
    records the text encoder and the resolutions that it was trained with.
    """

    def __init__(
        self,
        vae: VAE,
        transformer: Infinity,
        *,
        text: TextEncoderConfig,
        resolution: Resolution,
        sampling: SamplingConfig = SamplingConfig(),
    ) -> None:
        if vae.config.token_bits != transformer.config.token_bits:
            raise ValueError(
                f"the tokenizer has {vae.config.token_bits} bits per token and the transformer predicts "
                f"{transformer.config.token_bits}; take the tokenizer that the transformer was trained with"
            )
        if vae.config.token_stride != resolution.stride:
            raise ValueError(
                f"the tokenizer makes one token of {vae.config.token_stride} pixels per side but the "
                f"resolution has stride {resolution.stride}; take the tokenizer of the transformer's training"
            )
        self.vae = vae.eval()
        self.transformer = transformer.eval()
        self.text = text
        self.text_encoder = build_text_encoder(text)
        self.resolution = resolution
        self.sampling = sampling
        self.dtype = torch.float32

    @classmethod
    def from_pretrained(cls, directory: str | Path) -> InfinityPipeline:
        """Load what :meth:`save_pretrained` wrote."""
        directory = Path(directory)
        if not (directory / "transformer").is_dir() or not (directory / "vae").is_dir():
            raise FileNotFoundError(
                f"{directory} is no saved pipeline: expected the folders vae/ and transformer/ in it"
            )
        transformer, extra = load_infinity(directory / "transformer")
        if missing := sorted({"text", "resolution", "sampling"} - extra.keys()):
            raise ValueError(
                f"{directory / 'transformer' / 'config.json'} does not say {', '.join(missing)}: it was not "
                "written by InfinityPipeline.save_pretrained; export the model again"
            )
        return cls(
            load_vae(directory / "vae"),
            transformer,
            text=config_from_dict(TextEncoderConfig, extra["text"]),
            resolution=config_from_dict(Resolution, extra["resolution"]),
            sampling=config_from_dict(SamplingConfig, extra["sampling"]),
        )

    def save_pretrained(self, directory: str | Path, *, extra: dict[str, Any] | None = None) -> None:
        """Write ``vae/`` and ``transformer/``; `extra` goes beside the transformer's config."""
        parts = {"text": self.text, "resolution": self.resolution, "sampling": self.sampling}
        ours = {name: config_to_dict(config) for name, config in parts.items()}
        save_pretrained(Path(directory) / "vae", self.vae)
        save_pretrained(Path(directory) / "transformer", self.transformer, extra={**(extra or {}), **ours})

    @property
    def device(self) -> torch.device:
        return self.transformer.pos_start.device

    def to(
        self, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> InfinityPipeline:
        """Move the networks; `dtype` bfloat16 runs them under autocast (logits stay float32)."""
        if device is not None:
            self.vae.to(device)
            self.transformer.to(device)
            self.text_encoder.to(device)
        self.dtype = dtype or self.dtype
        return self

    @torch.no_grad()
    def __call__(
        self,
        prompts: str | Sequence[str],
        *,
        aspect_ratio: float | None = None,
        guidance_scale: float | tuple[float, ...] | None = None,
        temperature: float | tuple[float, ...] | None = None,
        top_p: float | tuple[float, ...] | None = None,
        negative_prompt: str | None = None,
        num_images_per_prompt: int = 1,
        seeds: int | Sequence[int] = 0,
        batch_size: int = 32,
        output_type: Literal["pil", "pt", "bits"] = "pil",
        callback_on_scale_end: ScaleHook | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> PipelineOutput:
        """Draw images.

        Args:
            aspect_ratio: height / width, one of ``self.resolution.aspect_ratios``; their first if not given.
            guidance_scale: classifier-free guidance, one value or one per scale; 1 switches it off. This and
                the next two default to ``self.sampling``, which travels with the model.
            temperature: one value or one per scale; 0 takes the most likely bits.
            top_p: nucleus of the two values of a bit, one value or one per scale.
            negative_prompt: what guidance leads away from, instead of the learned null condition.
            seeds: one per image; or a single one, from which every image's own seed is derived
                (:func:`image_seed`). An image depends on its own seed, not on its batch.
            callback_on_scale_end: see :data:`infinity.sampling.generate.ScaleHook`; called for every batch.
            progress: called with (images done, images in all) after every batch.
        """
        prompts = [prompts] if isinstance(prompts, str) else list(prompts)
        if not prompts or not all(prompt.strip() for prompt in prompts):
            raise ValueError(f"every prompt must be a non-empty text, got {prompts}")
        prompts = [prompt for prompt in prompts for _ in range(num_images_per_prompt)]
        seeds = [image_seed(seeds, i) for i in range(len(prompts))] if isinstance(seeds, int) else list(seeds)
        if len(seeds) != len(prompts):
            raise ValueError(f"pass one seed, or one per image: got {len(seeds)} for {len(prompts)} images")
        schedule = self.schedule(aspect_ratio)
        given = {"guidance": guidance_scale, "temperature": temperature, "top_p": top_p}
        config = replace(self.sampling, **{name: value for name, value in given.items() if value is not None})
        images: list[Tensor] = []
        bits: list[tuple[Tensor, ...]] = []
        for start in range(0, len(prompts), batch_size):
            batch = slice(start, start + batch_size)
            drawn = self._draw(
                prompts[batch], seeds[batch], schedule, config, negative_prompt, callback_on_scale_end
            )
            bits.append(drawn.bits)
            if output_type != "bits":
                images.append(self.decode(drawn.features_BDHW))
            if progress is not None:
                progress(min(start + batch_size, len(prompts)), len(prompts))
        bits_per_scale = tuple(torch.cat(scale) for scale in zip(*bits, strict=True))
        if output_type == "bits":
            return PipelineOutput([], bits_per_scale, seeds)
        images_B3HW = torch.cat(images)
        return PipelineOutput(
            images_B3HW
            if output_type == "pt"
            else [Image.fromarray(array) for array in to_uint8(images_B3HW)],
            bits_per_scale,
            seeds,
        )

    def schedule(self, aspect_ratio: float | None = None) -> ScaleSchedule:
        """The schedule (in tokens) of an aspect ratio."""
        return self.resolution.schedule(
            self.resolution.aspect_ratios[0] if aspect_ratio is None else aspect_ratio
        )

    @torch.no_grad()
    def tokenize(self, images_B3HW: Tensor, schedule: ScaleSchedule) -> MultiScaleCodes:
        """Code images (in [-1, 1]) on the pipeline's device."""
        with self._autocast():
            return self.vae.tokenize(images_B3HW.to(self.device), schedule)

    @torch.no_grad()
    def decode(self, features_BDHW: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] from summed codes."""
        with self._autocast():
            return self.vae.decode(features_BDHW).clamp(-1, 1).add(1).div(2)

    def _draw(
        self,
        prompts: list[str],
        seeds: list[int],
        schedule: ScaleSchedule,
        config: SamplingConfig,
        negative_prompt: str | None,
        on_scale_end: ScaleHook | None,
    ) -> Generation:
        encode = self.text_encoder.encode
        with self._autocast():
            return generate(
                self.transformer,
                encode(prompts).to(self.device),
                schedule,
                config,
                patchify=self.vae.config.patchify,
                generators=[torch.Generator().manual_seed(seed) for seed in seeds],
                negative_text=None
                if negative_prompt is None
                else encode([negative_prompt] * len(prompts)).to(self.device),
                on_scale_end=on_scale_end,
                codes_from_bits=self.vae.quantizer.quantizer.codes_from_bits,
            )

    def _autocast(self) -> torch.autocast:
        reduced = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype if reduced else None, enabled=reduced)


def image_seed(seed: int, index: int) -> int:
    """The own seed of image number `index` of a run with one seed."""
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=7).digest()
    return int.from_bytes(digest)


def to_uint8(images_B3HW: Tensor) -> Any:
    """Images in [0, 1] as a numpy array (B, H, W, 3) of uint8, rounded to the nearest."""
    return images_B3HW.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
