"""Adversarial losses of the tokenizer: hinge, the weight of the generator's part, and LeCAM."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infinity.distributed import all_reduce_mean

__all__ = ["LeCam", "adaptive_weight", "frozen_call", "hinge_discriminator_loss", "hinge_generator_loss"]


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Push logits of real images above 1 and of reconstructions below -1."""
    return 0.5 * (F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean())


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """Push logits of reconstructions up."""
    return -fake_logits.mean()


def frozen_call(module: nn.Module, x: Tensor) -> Tensor:
    """Call a module so that gradients reach its input and not its parameters."""
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}
    return torch.func.functional_call(module, parameters, (x,))


def adaptive_weight(reconstruction_loss: Tensor, generator_loss: Tensor, last_layer: Tensor) -> Tensor:
    """Ratio of both losses' gradient norms at the decoder's last layer (VQGAN, arXiv 2012.09841, Eq. 7).

    Gradients are averaged over ranks first, so that the ratio is that of the global batch.
    """
    norms = []
    for loss in (reconstruction_loss, generator_loss):
        (grad,) = torch.autograd.grad(loss, last_layer, retain_graph=True)
        norms.append(all_reduce_mean(grad.float()).norm())
    return (norms[0] / (norms[1] + 1e-4)).clamp(max=1e4)


class LeCam(nn.Module):
    """Regularizer that ties the logits of one side to the running mean of the other (arXiv 2104.03310).

    The means are buffers, so they travel in checkpoints; they move in training mode only.
    """

    real_mean: Tensor
    fake_mean: Tensor

    def __init__(self, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("real_mean", torch.zeros(()))
        self.register_buffer("fake_mean", torch.zeros(()))

    def forward(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Penalise real logits above the mean of fakes and fake logits below the mean of reals."""
        if self.training:
            with torch.no_grad():
                self.real_mean.lerp_(all_reduce_mean(real_logits.mean()), 1 - self.decay)
                self.fake_mean.lerp_(all_reduce_mean(fake_logits.mean()), 1 - self.decay)
        # clones, because the next step moves the means in place
        above = F.relu(real_logits - self.fake_mean.clone())
        below = F.relu(self.real_mean.clone() - fake_logits)
        return above.square().mean() + below.square().mean()
