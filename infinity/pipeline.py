"""Text in, images out: a tokenizer, a transformer and a text encoder that were trained for each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Unpack, cast

import torch
from torch import Tensor

from infinity.checkpoints.io import hash_weights
from infinity.devices import check_device
from infinity.hub import model_directory
from infinity.images import to_pil
from infinity.pipeline_files import PipelineParts, check_fit, load_parts, save_parts
from infinity.sampling.config import SamplingConfig
from infinity.sampling.generate import ScaleHook, generate
from infinity.sampling.known import Known
from infinity.sampling.results import PipelineOutput, ScaleEnd
from infinity.sampling.rounding import round_blocks
from infinity.sampling.settings import Settings, SettingsArguments, resolve_settings
from infinity.schedules import Resolution, ScaleSchedule
from infinity.seeds import seeds_of_images
from infinity.text import TextEncoder, TextEncoderConfig, build_text_encoder
from infinity.text.states import PromptStates
from infinity.transformer.model import Infinity
from infinity.types import MultiScaleCodes
from infinity.vae.model import VAE
from infinity.vae.parts import decode_in_parts, encode_in_parts

__all__ = ["InfinityPipeline"]


class InfinityPipeline:
    """The habits of diffusers' pipelines, for Infinity.

    Attributes:
        sampling: settings that calls default to; they travel with the model.
        extra: what else the model's directory records, e.g. how it was trained; kept when saved again.
        dtype: of the transformer's linear layers, see :meth:`to`.
    """

    def __init__(
        self,
        vae: VAE,
        transformer: Infinity,
        *,
        text: TextEncoderConfig,
        resolution: Resolution,
        sampling: SamplingConfig = SamplingConfig(),
        text_encoder: TextEncoder | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        """Build from parts; `text_encoder` is the encoder that `text` describes, if it is loaded already."""
        check_fit(vae, transformer, resolution)
        self.vae = vae.for_inference()
        self.transformer = transformer.eval()
        self.text = text
        self.text_encoder = text_encoder or build_text_encoder(text)
        self.resolution = resolution
        self.sampling = sampling
        self.extra = extra or {}
        self.dtype = torch.float32

    @classmethod
    def from_pretrained(cls, model: str | Path) -> InfinityPipeline:
        """Load what :meth:`save_pretrained` wrote: a directory, or an id of the Hugging Face hub."""
        directory = model_directory(model)
        parts = load_parts(directory)
        pipeline = cls(
            parts.vae,
            parts.transformer,
            text=parts.text,
            resolution=parts.resolution,
            sampling=parts.sampling,
            extra=parts.extra,
        )
        found = pipeline.text_encoder.fingerprint
        if parts.text_fingerprint not in (None, found):
            raise ValueError(
                f"the text encoder that {directory} names is {found}, but the transformer was trained with "
                f"{parts.text_fingerprint}; restore that encoder, or correct transformer/config.json"
            )
        return pipeline

    def save_pretrained(self, directory: str | Path, *, extra: dict[str, Any] | None = None) -> None:
        """Write what :meth:`from_pretrained` reads; `extra` goes beside the transformer's config."""
        if self.dtype != torch.float32:
            raise ValueError(
                f"the weights were rounded to {self.dtype}; save the pipeline before .to(dtype=)"
            )
        parts = PipelineParts(
            self.vae,
            self.transformer,
            self.text,
            self.resolution,
            self.sampling,
            self.text_encoder.fingerprint,
            self.extra | (extra or {}),
        )
        save_parts(Path(directory), parts)

    @cached_property
    def vae_sha256(self) -> str:
        """Names the tokenizer, as in saved models: packed bits mean something to it alone."""
        return hash_weights(self.vae.state_dict())

    @property
    def device(self) -> torch.device:
        return self.transformer.pos_start.device

    def to(
        self, device: str | torch.device | torch.dtype | None = None, dtype: torch.dtype | None = None
    ) -> InfinityPipeline:
        """Move the networks to a device, or round them to bfloat16, which can't be undone.

        In bfloat16 the blocks' linear layers and the tokenizer's networks are stored rounded; logits and
        features stay float32.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if dtype not in (None, torch.float32, torch.bfloat16):
            raise ValueError(f"dtype must be torch.float32 or torch.bfloat16, got {dtype}")
        if device is not None:
            check_device(device)
        if dtype == torch.float32 and self.dtype != dtype:
            raise ValueError("the weights were rounded to bfloat16; load the pipeline again for float32")
        if dtype is not None and dtype != self.dtype:
            _ = self.vae_sha256  # cached before the weights are rounded
            round_blocks(self.transformer, dtype)
            self.vae.for_inference(dtype)
            self.dtype = dtype
        if device is not None:
            self.vae.to(device)
            self.transformer.to(device)
            self.text_encoder.to(device)
        return self

    @torch.no_grad()
    def __call__(
        self,
        prompts: str | Sequence[str],
        *,
        num_images_per_prompt: int = 1,
        seeds: int | Sequence[int] | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        batch_size: int = 32,
        output_type: Literal["pil", "pt", "bits"] = "pil",
        known: Known | None = None,
        callback_on_scale_end: Callable[[ScaleEnd], Any] | None = None,
        progress: Callable[[int, int], Any] | None = None,
        **settings: Unpack[SettingsArguments],
    ) -> PipelineOutput:
        """Draw images.

        Args:
            seeds, generator: see :func:`infinity.seeds.seeds_of_images`. An image depends on its own seed,
                not on its batch.
            batch_size: images drawn at once.
            output_type: PIL images, tensors or no images at all; bits are there in any case.
            known: bits that are dictated instead of drawn, of every image or one for all of them.
            callback_on_scale_end: called after every scale of every batch.
            progress: called with (images done, images in all) after every batch.
            settings: see :class:`infinity.sampling.settings.SettingsArguments`.
        """
        prompts = _prompt_list(prompts)
        if output_type not in ("pil", "pt", "bits"):
            raise ValueError(f"output_type must be pil, pt or bits, got {output_type!r}")
        if num_images_per_prompt < 1 or batch_size < 1:
            raise ValueError(
                "num_images_per_prompt and batch_size must be at least 1, "
                f"got {num_images_per_prompt} and {batch_size}"
            )
        resolved = self.settings(**settings)
        if not isinstance(resolved.negative_prompt, str | None):
            raise ValueError(
                f"negative_prompt must be one text, for all prompts, got {resolved.negative_prompt!r}"
            )
        own_seeds = seeds_of_images(seeds, generator, len(prompts), num_images_per_prompt)
        prompts = [prompt for prompt in prompts for _ in range(num_images_per_prompt)]
        text, negative = PromptStates(self.text_encoder), PromptStates(self.text_encoder)
        images: list[Any] = []
        bits: list[tuple[Tensor, ...]] = []
        for start in range(0, len(prompts), batch_size):
            batch = range(start, min(start + batch_size, len(prompts)))
            rows = slice(batch.start, batch.stop)
            drawn = generate(
                self.transformer,
                text(prompts[rows]).to(self.device),
                resolved.schedule,
                resolved.sampling,
                patchify=self.vae.config.patchify,
                generators=[torch.Generator().manual_seed(seed) for seed in own_seeds[rows]],
                negative_text=None
                if resolved.negative_prompt is None
                else negative([resolved.negative_prompt] * len(batch)).to(self.device),
                known=None if known is None else known.rows(rows),
                on_scale_end=_hook(callback_on_scale_end, batch),
                codes_from_bits=self.vae.quantizer.quantizer.codes_from_bits,
            )
            bits.append(drawn.bits)
            if output_type != "bits":
                decoded = self.decode(drawn.features_BDHW)
                images.extend(decoded if output_type == "pt" else to_pil(decoded))
            if progress is not None:
                progress(batch.stop, len(prompts))
        per_scale = tuple(torch.cat(scale) for scale in zip(*bits, strict=True))
        return PipelineOutput(torch.stack(images) if output_type == "pt" else images, per_scale, own_seeds)

    def settings(self, **settings: Unpack[SettingsArguments]) -> Settings:
        """The settings of a call, complete and checked."""
        return resolve_settings(self.resolution, self.sampling, **settings)

    def schedule(self, aspect_ratio: float | None = None) -> ScaleSchedule:
        """The schedule (in tokens) of an aspect ratio; of the model's first one if none is given."""
        return self.settings(aspect_ratio=aspect_ratio).schedule

    @torch.no_grad()
    def encode(self, images_B3HW: Tensor) -> Tensor:
        """Features (B, D, h, w), not quantized, of images in [-1, 1]."""
        return encode_in_parts(self.vae, images_B3HW.to(self.device))

    @torch.no_grad()
    def tokenize(self, images_B3HW: Tensor, schedule: ScaleSchedule) -> MultiScaleCodes:
        """Code images (in [-1, 1]) on the pipeline's device."""
        return self.vae.quantize(self.encode(images_B3HW), schedule)

    @torch.no_grad()
    def decode(self, features_BDHW: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] from summed codes."""
        return decode_in_parts(self.vae, features_BDHW).clamp(-1, 1).add(1).div(2)


def _prompt_list(prompts: str | Sequence[str]) -> list[str]:
    texts = list(prompts) if isinstance(prompts, list | tuple) else [cast("str", prompts)]
    if not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"every prompt must be a non-empty text, got {texts}")
    return texts


def _hook(callback: Callable[[ScaleEnd], Any] | None, images: range) -> ScaleHook | None:
    if callback is None:
        return None
    return lambda scale, bits, features: callback(ScaleEnd(scale, images, bits, features))
