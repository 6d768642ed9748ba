"""The tokenizer's whole training loss in one forward pass (reconstruction, quantizer, GAN)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.configs import check_literals
from infinity.losses.adversarial import (
    LeCam,
    adaptive_weight,
    frozen_call,
    hinge_discriminator_loss,
    hinge_generator_loss,
)
from infinity.losses.discriminator import DiscriminatorConfig, PatchDiscriminator
from infinity.losses.perceptual import LpipsNet
from infinity.quantizers.config import QuantizerConfig
from infinity.types import LossTerms

if TYPE_CHECKING:
    from infinity.vae.model import VAEOutput

__all__ = ["AutoencoderLoss", "AutoencoderLossConfig"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderLossConfig:
    """Weights of the tokenizer's losses; those of the quantizer are in its own config.

    Args:
        l1_weight: weight of the mean absolute error, images being in [-1, 1].
        l2_weight: weight of the mean squared error.
        lpips_weight: weight of LPIPS; above 0 its weights have to be at hand.
        lpips_net: trunk of LPIPS.
        gan_weight: weight of the generator's loss; 0 leaves the discriminator out altogether.
        gan_weighting: "fixed" takes `gan_weight` as it is, "adaptive" times a ratio of gradient norms at the
            decoder's last layer.
        gan_start_step: step at which the discriminator starts to learn.
        gan_warmup_steps: steps over which `gan_weight` then rises linearly from 0.
        lecam_weight: weight of the LeCAM regularizer in the discriminator's loss.
        lecam_decay: decay of its running means.
        discriminator: size of the discriminator.
    """

    l1_weight: float = 1.0
    l2_weight: float = 0.0
    lpips_weight: float = 0.0
    lpips_net: LpipsNet = "vgg"
    gan_weight: float = 0.0
    gan_weighting: Literal["fixed", "adaptive"] = "fixed"
    gan_start_step: int = 0
    gan_warmup_steps: int = 0
    lecam_weight: float = 0.0
    lecam_decay: float = 0.999
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        check_literals(self)
        weights = ("l1_weight", "l2_weight", "lpips_weight", "gan_weight", "lecam_weight")
        for name in (*weights, "gan_start_step", "gan_warmup_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if self.l1_weight + self.l2_weight + self.lpips_weight == 0:
            raise ValueError("one of l1_weight, l2_weight and lpips_weight must be positive, got 0 for all")
        if self.lecam_weight and not self.gan_weight:
            raise ValueError(f"lecam_weight {self.lecam_weight} has no effect without a gan_weight; set one")
        if not 0 <= self.lecam_decay < 1:
            raise ValueError(f"lecam_decay must be in [0, 1), got {self.lecam_decay}")

    def generator_weight(self, step: int) -> float:
        """Weight of the generator's loss at a step."""
        progress = (step - self.gan_start_step + 1) / max(1, self.gan_warmup_steps)
        return self.gan_weight * min(max(progress, 0.0), 1.0)


class AutoencoderLoss(nn.Module):
    """Sum of the autoencoder's loss under a frozen discriminator and the discriminator's on frozen images.

    Neither part's gradient reaches the other's parameters, so one optimizer step on the sum does what two
    optimizers on the two losses would. Which modules take part never depends on the step, as DDP wants it.

    Args:
        config: weights of the losses.
        quantizer: config of the quantizer, which weighs its losses.
        perceptual: maps (images, target) to a distance per image, usually
            :func:`~infinity.losses.perceptual.load_lpips`. It stays out of parameters and state dict.
    """

    discriminator: PatchDiscriminator | None
    perceptual: Callable[[Tensor, Tensor], Tensor] | None

    def __init__(
        self,
        config: AutoencoderLossConfig,
        quantizer: QuantizerConfig,
        perceptual: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if config.lpips_weight and perceptual is None:
            raise ValueError(
                f"lpips_weight {config.lpips_weight} needs a perceptual net, got none; pass "
                f"infinity.losses.load_lpips({config.lpips_net!r}) or set lpips_weight to 0"
            )
        self.config = config
        self.quantizer = quantizer
        self.__dict__["perceptual"] = perceptual if config.lpips_weight else None
        self.discriminator = PatchDiscriminator(config.discriminator) if config.gan_weight else None
        self.lecam = LeCam(config.lecam_decay) if config.lecam_weight else None

    def _apply(self, fn: Any, recurse: bool = True) -> AutoencoderLoss:
        """Take the frozen net along to another device or dtype."""
        if isinstance(self.perceptual, nn.Module):
            self.perceptual._apply(fn)
        return super()._apply(fn, recurse)

    def forward(self, images_B3HW: Tensor, output: VAEOutput, *, step: int, last_layer: Tensor) -> LossTerms:
        """Weigh all losses of a batch.

        Args:
            images_B3HW: targets in [-1, 1].
            output: their reconstruction and codes.
            step: optimizer steps taken so far.
            last_layer: weight of the decoder's last layer (``VAE.last_layer``), for the adaptive weight.
        """
        recon_B3HW = output.recon_B3HW.float()
        logs = {"l1": F.l1_loss(recon_B3HW, images_B3HW), "l2": F.mse_loss(recon_B3HW, images_B3HW)}
        total = self.config.l1_weight * logs["l1"] + self.config.l2_weight * logs["l2"]
        if self.perceptual is not None:
            logs["lpips"] = self.perceptual(recon_B3HW, images_B3HW).mean()
            total = total + self.config.lpips_weight * logs["lpips"]
        if self.discriminator is not None and step < self.config.gan_start_step:
            # no work before the start, but DDP expects a gradient for every parameter, if only a zero
            idle = sum(parameter.sum() for parameter in self.discriminator.parameters())
            total = total + 0 * idle
        elif self.discriminator is not None:
            generator = hinge_generator_loss(frozen_call(self.discriminator, recon_B3HW).float())
            weight = self.config.generator_weight(step) * self._balance(total, generator, last_layer)
            total = total + weight * generator
            total = total + self._judge(self.discriminator, images_B3HW, recon_B3HW.detach(), logs)
            logs |= {"generator": generator, "generator_weight": weight}
        total = total + self.quantizer.weigh(output.codes.losses)
        logs |= output.codes.losses
        return LossTerms(total, {name: value.detach() for name, value in logs.items()})

    def _balance(self, reconstruction: Tensor, generator: Tensor, last_layer: Tensor) -> Tensor:
        if self.config.gan_weighting == "adaptive" and torch.is_grad_enabled():
            return adaptive_weight(reconstruction, generator, last_layer)
        return torch.ones((), device=generator.device)

    def _judge(
        self, discriminator: PatchDiscriminator, real_B3HW: Tensor, fake_B3HW: Tensor, logs: dict[str, Tensor]
    ) -> Tensor:
        """The discriminator's loss, in one pass over both halves."""
        real_logits, fake_logits = discriminator(torch.cat([real_B3HW, fake_B3HW])).float().chunk(2)
        logs["discriminator"] = loss = hinge_discriminator_loss(real_logits, fake_logits)
        logs |= {"logits_real": real_logits.mean(), "logits_fake": fake_logits.mean()}
        if self.lecam is None:
            return loss
        logs["lecam"] = self.lecam(real_logits, fake_logits)
        return loss + self.config.lecam_weight * logs["lecam"]
