"""Linear layers by the machine's fastest exact kernel: the one place that knows which that is.

On CPUs PyTorch sends float32 products to MKL, which is half as fast as oneDNN on other makers' CPUs.
PyTorch uses oneDNN for bfloat16 and for convolutions anyway; so its linear operator is called here for
float32 too, forward and backward.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

__all__ = ["Linear", "linear"]

_HAS_ONEDNN = torch.backends.mkldnn.is_available()


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` through :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        return linear(input, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` of x (..., K), weight (N, K), bias (N,); autocast is respected."""
    plain = x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32
    if plain or not _HAS_ONEDNN or torch.is_autocast_enabled("cpu"):
        return F.linear(x, weight, bias)
    return _OneDNNLinear.apply(x, weight, bias)


class _OneDNNLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        (grad,) = grad_outputs
        for_x, for_weight, for_bias = ctx.needs_input_grad
        grad_MN = grad.reshape(-1, grad.shape[-1])
        return (
            _product(grad, weight.T, None) if for_x else None,
            _product(grad_MN.T, x.reshape(-1, x.shape[-1]).T, None) if for_weight else None,
            grad_MN.sum(dim=0) if for_bias else None,
        )


# An operator of our own around oneDNN's, as the compiler would insist on constant weights for the latter.
torch.library.define("infinity::onednn_linear", "(Tensor x, Tensor weight, Tensor? bias) -> Tensor")


@torch.library.impl("infinity::onednn_linear", "CPU")
def _onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@torch.library.register_fake("infinity::onednn_linear")
def _fake(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[0])


@register_flop_formula(torch.ops.infinity.onednn_linear)
def _flops(x_shape: torch.Size, weight_shape: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * x_shape.numel() * weight_shape[0]


_product = torch.ops.infinity.onednn_linear
