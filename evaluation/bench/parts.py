"""What is timed: parts of training and sampling at the official "layer12" size, 125M parameters, 256 x 256.

Every part does the same mathematics as the official code's (which `official_worker.py` runs): scales 1 to 16,
32 bits, captions of 64 tokens with 2048 channels, guidance 3 in sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from infinity.objectives import ARObjectiveConfig, ar_objective
from infinity.quantizers.config import QuantizerConfig
from infinity.sampling.config import SamplingConfig
from infinity.sampling.generate import generate
from infinity.sampling.rounding import round_blocks
from infinity.schedules import ScaleSchedule, paper_schedule
from infinity.self_correction import SelfCorrectionConfig, self_correct
from infinity.transformer.config import PRESETS, InfinityConfig
from infinity.transformer.model import Infinity
from infinity.types import TextStates
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = ["PARTS", "Bench", "MakeBench"]

_TEXT_TOKENS, _TEXT_WIDTH = 64, 2048
_NUM_BITS = 32


@dataclass(frozen=True)
class Bench:
    """Models and inputs for one batch size and precision; `vae` and `model` are shared between them."""

    vae: VAE
    model: Infinity
    batch_size: int
    bfloat16: bool
    device: torch.device

    @classmethod
    def official_size(cls, batch_size: int, bfloat16: bool, device: torch.device) -> Bench:
        """The benchmark at full size, with random weights (the same for every batch size and precision)."""
        vae, model = _official_models(device)
        return cls(vae, model, batch_size, bfloat16, device)

    @cached_property
    def sampler(self) -> Infinity:
        """The transformer as pipelines keep it: rounded, where they run in bfloat16."""
        model = deepcopy(self.model)
        if self.bfloat16:
            round_blocks(model, torch.bfloat16)
        return model.eval()

    @cached_property
    def tokenizer(self) -> VAE:
        """The tokenizer as pipelines keep it."""
        return deepcopy(self.vae).for_inference(torch.bfloat16 if self.bfloat16 else torch.float32)

    @cached_property
    def schedule(self) -> ScaleSchedule:
        return paper_schedule(1.0, "0.06M")

    @cached_property
    def text(self) -> TextStates:
        states_BME = self._random(self.batch_size, _TEXT_TOKENS, self.model.config.text_width)
        return TextStates(states_BME, torch.ones(states_BME.shape[:2], dtype=torch.bool, device=self.device))

    @cached_property
    def images(self) -> Tensor:
        height, width = (side * self.vae.config.token_stride for side in self.schedule.final)
        return self._random(self.batch_size, 3, height, width).clamp(-1, 1)

    @cached_property
    def features(self) -> Tensor:
        return self._random(self.batch_size, self.vae.config.num_bits, *self.schedule.final)

    def encode(self) -> Callable[[], Any]:
        return torch.no_grad()(lambda: self.tokenizer.encode(self.images))

    def decode(self) -> Callable[[], Any]:
        return torch.no_grad()(lambda: self.tokenizer.decode(self.features))

    def correct(self) -> Callable[[], Any]:
        generator = torch.Generator().manual_seed(0)
        config = SelfCorrectionConfig()
        return lambda: self_correct(self.features, self.schedule, config, generator=generator)

    def forward_backward(self) -> Callable[[], Any]:
        """Loss of all bits and its gradients, on given inputs: no self-correction, no optimizer."""
        model = self.model.train()
        forcing = self_correct(self.features, self.schedule, SelfCorrectionConfig(mode="off"))

        def work() -> None:
            with self._autocast():
                logits = model(forcing.inputs_BLD, self.text, self.schedule)
                loss = model.head.loss(logits, forcing.labels_BLD).mean()
            loss.backward()
            model.zero_grad(set_to_none=True)

        return work

    def train_step(self, *, cached_features: bool = False) -> Callable[[], Any]:
        """Encoding (unless cached), self-correction, forward, backward, clipping and AdamW."""
        model = self.model.train()
        optimizer = torch.optim.AdamW(model.param_groups(0.005), lr=1e-5, betas=(0.9, 0.97), fused=True)
        generator = torch.Generator().manual_seed(0)

        def work() -> None:
            with self._autocast():
                with torch.no_grad():
                    features = self.features if cached_features else self.vae.encode(self.images)
                terms = ar_objective(
                    model,
                    features,
                    self.text,
                    self.schedule,
                    config=ARObjectiveConfig(),
                    generator=generator,
                    detailed_logs=False,
                )
            terms.total.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return work

    def sample(self, *, decoded: bool = False) -> Callable[[], Any]:
        """Guided sampling of a batch, with the decoder or without."""
        config = SamplingConfig(guidance=3.0, temperature=0.5, top_p=0.97)

        def work() -> None:
            generators = [torch.Generator().manual_seed(i) for i in range(self.batch_size)]
            drawn = generate(self.sampler, self.text, self.schedule, config, generators=generators)
            if decoded:
                self.tokenizer.decode(drawn.features_BDHW)

        return torch.no_grad()(work)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16)

    def _random(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(self.device)


@cache
def _official_models(device: torch.device) -> tuple[VAE, Infinity]:
    torch.manual_seed(0)
    sizes = {"token_bits": _NUM_BITS, "text_width": _TEXT_WIDTH, "text_max_len": 512, "drop_path": 0.0}
    config = InfinityConfig(**{**PRESETS["125M"], **sizes})
    vae = VAE(VAEConfig(quantizer=QuantizerConfig(kind="bsq", num_bits=_NUM_BITS)))
    return vae.for_inference().to(device), Infinity(config).to(device)


MakeBench = Callable[[int, bool, torch.device], Bench]
"""From batch size, whether bfloat16, and device."""

PARTS: dict[str, Callable[[Bench], Callable[[], Any]]] = {
    "vae encode": Bench.encode,
    "vae decode": Bench.decode,
    "self-correction": Bench.correct,
    "forward + backward": Bench.forward_backward,
    "train step": Bench.train_step,
    "train step, cached features": lambda bench: bench.train_step(cached_features=True),
    "generate": Bench.sample,
    "generate + decode": lambda bench: bench.sample(decoded=True),
}
"""By the names that `official_worker.py` knows too."""
