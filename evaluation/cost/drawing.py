"""Drawing a batch in stages, each of which can be timed, traced or counted by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from evaluation.provenance import collect_provenance
from evaluation.tasks.api import EvalContext
from infinity.pipeline import InfinityPipeline
from infinity.sampling.generate import generate
from infinity.sampling.settings import Settings
from infinity.types import TextStates

__all__ = ["STAGES", "StagedDrawing", "caption_of", "hardware_of"]

STAGES = ("text_encoder", "transformer", "decoder")

_CAPTION = (
    "a corgi in a red scarf on a wooden bench in a park, autumn leaves all around, soft morning light, photo"
)


def caption_of(number: int) -> str:
    """Captions of one length, all different, so that no encoder can remember one."""
    return f"{_CAPTION} {number:06d}"


@dataclass(frozen=True, kw_only=True)
class StagedDrawing:
    """What a pipeline's call does, in three steps, for one batch with a run's settings."""

    pipeline: InfinityPipeline
    settings: Settings
    batch_size: int

    @classmethod
    def of(cls, context: EvalContext, batch_size: int) -> StagedDrawing:
        """With the context's model and settings, in the model's first shape."""
        assert context.pipeline is not None
        settings = context.pipeline.settings(**context.sampling)
        return cls(pipeline=context.pipeline, settings=settings, batch_size=batch_size)

    @property
    def device(self) -> torch.device:
        return self.pipeline.device

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = (
            side * self.pipeline.vae.config.token_stride for side in self.settings.schedule.final
        )
        return height, width

    @property
    def is_guided(self) -> bool:
        return any(
            scale != 1 for scale in self.settings.sampling.per_scale("guidance", self.settings.schedule)
        )

    @property
    def knobs(self) -> str:
        """For metric ids: what is drawn."""
        height, width = self.size
        return f"{height}x{width},batch={self.batch_size}"

    @property
    def note(self) -> str:
        """How the run draws it."""
        guided = "with" if self.is_guided else "without"
        return f"{str(self.pipeline.dtype).removeprefix('torch.')}, {guided} guidance"

    def encode(self, captions: Sequence[str]) -> tuple[TextStates, TextStates | None]:
        """Text states, and those of the negative prompt if there is one."""
        states = self.pipeline.text_encoder.encode(list(captions)).to(self.device)
        if self.settings.negative_prompt is None:
            return states, None
        negative = [self.settings.negative_prompt] * len(captions)
        return states, self.pipeline.text_encoder.encode(negative).to(self.device)

    def draw(self, text: TextStates, negative: TextStates | None, seeds: Sequence[int]) -> Tensor:
        """Features of images, scale by scale."""
        return generate(
            self.pipeline.transformer,
            text,
            self.settings.schedule,
            self.settings.sampling,
            patchify=self.pipeline.vae.config.patchify,
            generators=[torch.Generator().manual_seed(seed) for seed in seeds],
            negative_text=negative,
            codes_from_bits=self.pipeline.vae.quantizer.quantizer.codes_from_bits,
        ).features_BDHW

    def decode(self, features_BDHW: Tensor) -> Tensor:
        """Images in [0, 1]."""
        return self.pipeline.decode(features_BDHW)

    @torch.no_grad()
    def __call__(self, number: int = 0) -> Tensor:
        """All stages; `number` tells calls apart."""
        text, negative = self.encode(self.captions(number))
        return self.decode(self.draw(text, negative, self.seeds(number)))

    def captions(self, number: int) -> list[str]:
        return [caption_of(seed) for seed in self.seeds(number)]

    def seeds(self, number: int) -> range:
        return range(number * self.batch_size, (number + 1) * self.batch_size)


def hardware_of(device: torch.device) -> str:
    """For metric ids: what the networks run on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"{collect_provenance().hardware['cpu']} x {torch.get_num_threads()} threads"
    return device.type
