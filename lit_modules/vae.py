"""Training of the tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from infinity.checkpoints.io import load_vae, save_pretrained
from infinity.losses import AutoencoderLoss, AutoencoderLossConfig, load_lpips
from infinity.randomness import Randomness
from infinity.schedules import Resolution
from infinity.types import ImageTextBatch, LossTerms
from infinity.vae import VAE, VAEConfig
from infinity.vae.flops import vae_training_flops
from lit_modules.base import Split, SuiteModule, plain
from lit_modules.compilation import compile_in_place
from lit_modules.optim import OptimizerConfig, build_optimizer
from lit_modules.sharding import is_sharded

__all__ = ["VAEModule"]


class VAEModule(SuiteModule):
    """Trains a tokenizer to reconstruct images through their bits.

    Generator and discriminator are two parameter groups of one optimizer. Their losses are summed, as neither
    has a gradient with respect to the other's weights.

    Args:
        vae: the tokenizer.
        resolution: image shapes and their scale schedules; set by ``data.resolution``.
        loss: weights of the losses.
        optimizer: of encoder, quantizer and decoder; the discriminator's differs in `discriminator_lr` and
            has no weight decay.
        discriminator_lr: the discriminator's learning rate, as a multiple of the optimizer's.
        init_from: directory of an exported tokenizer whose weights training starts with (the next stage of a
            recipe); empty for random weights.
        seed: of everything that is drawn while training; set by ``seed_everything``.
        channels_last: memory format of the convolutions; faster on GPUs.
        compile: compile encoder and decoder.
    """

    net: VAE

    def __init__(
        self,
        vae: VAEConfig,
        resolution: Resolution,
        loss: AutoencoderLossConfig = AutoencoderLossConfig(),
        optimizer: OptimizerConfig = OptimizerConfig(),
        discriminator_lr: float = 2.0,
        init_from: str = "",
        seed: int = 0,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__(optimizer=optimizer, seed=seed)
        if vae.token_stride != resolution.stride:
            raise ValueError(
                f"the tokenizer makes one token of {vae.token_stride} pixels per side, but "
                f"data.resolution.stride is {resolution.stride}; set it to {vae.token_stride}"
            )
        if optimizer.kind == "muon":
            raise ValueError(
                "muon updates matrices, but the tokenizer has convolutions; set model.optimizer.kind to adamw"
            )
        self.configs = {"vae": vae, "resolution": resolution, "loss": loss, "optimizer": optimizer}
        self.resolution = resolution
        self.discriminator_lr = discriminator_lr
        self.init_from = init_from
        self.channels_last = channels_last
        self.compile_enabled = compile
        self.net = VAE(vae)
        perceptual = load_lpips(loss.lpips_net) if loss.lpips_weight else None
        self.loss = AutoencoderLoss(loss, vae.quantizer, perceptual)

    def setup(self, stage: str) -> None:
        if is_sharded(self.trainer):
            raise ValueError("a tokenizer fits on every device and isn't sharded; use trainer.strategy ddp")
        if stage == "fit" and self.init_from:
            self._start_from(load_vae(self.init_from))
        if self.channels_last:
            self.net.to(memory_format=torch.channels_last)
        if self.compile_enabled:
            compile_in_place(self.net.encoder, self.net.decoder, device=self.trainer.strategy.root_device)

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.optimizer_config
        decayed = [p for p in self.net.parameters() if p.ndim > 1]
        free = [p for p in self.net.parameters() if p.ndim <= 1]
        groups = [
            {"name": "generator", "params": decayed, "weight_decay": config.weight_decay},
            {"name": "generator", "params": free, "weight_decay": 0.0},
        ]
        if self.loss.discriminator is not None:
            params = list(self.loss.discriminator.parameters())
            lr = config.lr * self.discriminator_lr
            # decay would move weights before the adversarial loss begins
            groups.append({"name": "discriminator", "params": params, "lr": lr, "weight_decay": 0.0})
        return self.with_schedule(build_optimizer(groups, config))

    def training_step(self, batch: ImageTextBatch, batch_idx: int) -> Tensor:
        return self._step("train", batch, self.randomness("train", len(batch.captions), batch_idx)).total

    def validation_step(self, batch: ImageTextBatch, batch_idx: int) -> None:
        self._step("val", batch, None)

    def test_step(self, batch: ImageTextBatch, batch_idx: int) -> None:
        self._step("test", batch, None)

    def _step(self, split: Split, batch: ImageTextBatch, generator: Randomness | None) -> LossTerms:
        images_B3HW = self._images(batch)
        output = self.net(images_B3HW, self.resolution.schedule(batch.aspect_ratio), generator=generator)
        terms = self.loss(images_B3HW, output, step=self.num_steps, last_layer=self.net.last_layer)
        self.log_terms(split, terms, batch.weight)
        return terms

    def _images(self, batch: ImageTextBatch) -> Tensor:
        if batch.images_B3HW is None:
            raise ValueError(
                "the tokenizer is trained on images; take the cache of features out of data.caches"
            )
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return batch.images_B3HW.contiguous(memory_format=layout)

    @torch.no_grad()
    def preview(self, batch: ImageTextBatch) -> list[Tensor]:
        """Columns of a picture: images, their reconstructions, and what the first scales alone decode to."""
        images_B3HW = self._images(batch)
        schedule = self.resolution.schedule(batch.aspect_ratio)
        bits = self.net.tokenize(images_B3HW, schedule).bits
        partial = [self.net.detokenize(bits[:k], schedule) for k in range(1, len(schedule))]
        return [images_B3HW, self.net.detokenize(bits, schedule), *partial]

    def training_flops(self, batch: ImageTextBatch) -> int:
        """Floating-point operations of a step in the tokenizer."""
        return len(batch.captions) * vae_training_flops(
            self.net.config, self.resolution.schedule(batch.aspect_ratio)
        )

    def export(self, directory: Path, net: VAE) -> None:
        """Write the tokenizer, with the record of how it was trained."""
        save_pretrained(directory, net, extra={"step": self.num_steps, **plain(self.configs)})
