"""Linear layers by the machine's fastest exact kernel: the one place that knows which that is.

On CPUs PyTorch sends float32 products to MKL, which is half as fast as oneDNN on other makers' CPUs.
PyTorch uses oneDNN for bfloat16 and for convolutions anyway; so its linear operator is called here for
float32 too, forward and backward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils.flop_counter import register_flop_formula

__all__ = ["Linear", "linear", "pack_linears"]

_HAS_ONEDNN = torch.backends.mkldnn.is_available()


class _Packed(NamedTuple):
    """A weight as oneDNN lays it out, and what tells whether the weight is still the same."""

    weight: Tensor
    source: tuple[StorageWeakRef, int]  # keeps no memory, but the storage's identity from being given anew


class Linear(nn.Linear):
    """:class:`torch.nn.Linear` through :func:`linear`; its weight can be packed for sampling on a CPU."""

    _packed: _Packed | None = None

    def pack(self, num_rows: int) -> None:
        """Keep a copy of a bfloat16 weight in oneDNN's own layout, for inputs of about `num_rows` rows.

        Calls without gradients then need not lay it out anew, which is half of the work for few rows. A copy
        of a weight that has changed is not used. (In float32 the gain is too small for twice the memory.)
        """
        if self._is_packable() and (self._packed is None or self._packed.source != self._source()):
            laid_out = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), num_rows)
            self._packed = _Packed(laid_out, self._source())

    def forward(self, input: Tensor, bias: Tensor | None = None) -> Tensor:
        """The layer; `bias` serves a layer that has none of its own."""
        bias = self.bias if bias is None else bias
        if (weight := self._packed_for(input)) is None:
            return linear(input, self.weight, bias)
        return torch.ops.mkldnn._linear_pointwise(input, weight, bias, "none", [], "")

    def gelu(self, input: Tensor) -> Tensor:
        """The layer, then GELU in its tanh form; one kernel where the weight is packed."""
        if (weight := self._packed_for(input)) is None:
            return F.gelu(self(input), approximate="tanh")
        return torch.ops.mkldnn._linear_pointwise(input, weight, self.bias, "gelu", [], "tanh")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # copies pack for themselves

    def _source(self) -> tuple[StorageWeakRef, int]:
        return StorageWeakRef(self.weight.untyped_storage()), self.weight._version

    def _is_packable(self) -> bool:
        weight = self.weight
        if type(weight) is not nn.Parameter or weight.device.type != "cpu" or not _HAS_ONEDNN:
            return False  # shards of a weight are of another type
        if weight.is_inference():
            return False  # nobody counts its changes
        return weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def _packed_for(self, input: Tensor) -> Tensor | None:
        if torch.compiler.is_compiling() or self._packed is None:
            return None  # the compiler lays out weights by itself, and insists on constant ones
        if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
            return None
        return self._packed.weight if self._packed.source == self._source() else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` of x (..., K), weight (N, K), bias (N,); autocast is respected."""
    plain = x.device.type != "cpu" or x.dtype != torch.float32 or weight.dtype != torch.float32
    if plain or not x.numel() or not _HAS_ONEDNN or torch.is_autocast_enabled("cpu"):  # oneDNN needs a row
        return F.linear(x, weight, bias)
    return _OneDNNLinear.apply(x, weight, bias)


def pack_linears(module: nn.Module, num_rows: int) -> None:
    """:meth:`Linear.pack` of all linear layers in a module."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            layer.pack(num_rows)


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


# where PyTorch has no oneDNN (on Macs, for example), its operators have no names either
_packed_operators = [torch.ops.mkldnn._linear_pointwise] if _HAS_ONEDNN else []


@register_flop_formula([torch.ops.infinity.onednn_linear, *_packed_operators])
def _flops(x_shape: torch.Size, weight_shape: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * x_shape.numel() * weight_shape[0]


_product = torch.ops.infinity.onednn_linear
