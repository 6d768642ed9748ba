from __future__ import annotations

import subprocess
import sys
from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from infinity.linear import Linear, linear
from tests.tolerances import TOL

_SHAPES = [(5,), (3, 5), (2, 3, 5), (1, 1, 5)]


def _leaves(shape: tuple[int, ...], bias: bool) -> list[torch.Tensor | None]:
    generator = torch.Generator().manual_seed(0)
    sizes = [shape, (7, shape[-1]), (7,)]
    x, weight, b = (torch.randn(size, generator=generator, requires_grad=True) for size in sizes)
    return [x, weight, b if bias else None]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", _SHAPES)
def test_values_and_gradients_are_those_of_the_plain_linear_layer(shape: tuple[int, ...], bias: bool) -> None:
    leaves = _leaves(shape, bias)
    given = [leaf for leaf in leaves if leaf is not None]
    fast, slow = linear(*leaves), F.linear(*leaves)
    torch.testing.assert_close(fast, slow, **TOL[torch.float32])
    weights = torch.randn_like(slow)
    for ours, expected in zip(
        torch.autograd.grad(fast, given, weights), torch.autograd.grad(slow, given, weights), strict=True
    ):
        torch.testing.assert_close(ours, expected, **TOL[torch.float32])


def test_no_rows_give_no_outputs_and_gradients_of_zero() -> None:
    x, weight, bias = _leaves((2, 0, 5), True)
    out = linear(x, weight, bias)
    assert out.shape == (2, 0, 7)
    out.sum().backward()
    assert torch.equal(weight.grad, torch.zeros(7, 5))


def test_only_what_is_asked_for_gets_a_gradient() -> None:
    x, weight, bias = _leaves((3, 5), True)
    assert x is not None
    assert weight is not None
    assert bias is not None
    linear(x, weight.detach(), bias.detach()).sum().backward()
    torch.testing.assert_close(x.grad, weight.sum(dim=0).expand(3, -1), **TOL[torch.float32])
    assert weight.grad is None
    assert bias.grad is None


def test_autocast_decides_about_the_precision() -> None:
    x, weight, bias = _leaves((3, 5), True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast, slow = linear(x, weight, bias), F.linear(x, weight, bias)
    assert fast.dtype == torch.bfloat16
    assert torch.equal(fast, slow)


def test_operations_are_counted() -> None:
    layer, x = Linear(5, 7), torch.randn(2, 3, 5, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        layer(x).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * (2 * 3) * 5 * 7


def test_compiled_code_computes_the_same() -> None:
    layer, x = Linear(5, 7), torch.randn(3, 5)
    compiled = torch.compile(layer)
    torch.testing.assert_close(compiled(x), F.linear(x, layer.weight, layer.bias), **TOL[torch.float32])
    compiled(x).sum().backward()
    torch.testing.assert_close(layer.bias.grad, torch.full((7,), 3.0))


@pytest.fixture
def packed() -> Linear:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        pytest.skip("this CPU has no bfloat16 kernels")
    layer = Linear(64, 48).bfloat16().requires_grad_(False)
    layer.pack(num_rows=6)
    assert layer._packed is not None
    return layer


@torch.no_grad()
def test_a_packed_layer_computes_the_same(packed: Linear) -> None:
    x, bias = torch.randn(2, 3, 64).bfloat16(), torch.randn(48).bfloat16()
    expected = F.linear(x, packed.weight, packed.bias)
    with FlopCounterMode(display=False) as counter:
        torch.testing.assert_close(packed(x), expected, **TOL[torch.bfloat16])
    assert counter.get_total_flops() == 2 * 6 * 64 * 48
    torch.testing.assert_close(packed(x, bias), F.linear(x, packed.weight, bias), **TOL[torch.bfloat16])
    torch.testing.assert_close(packed.gelu(x), F.gelu(expected, approximate="tanh"), **TOL[torch.bfloat16])


@torch.no_grad()
def test_a_changed_weight_is_not_served_by_its_packed_copy(packed: Linear) -> None:
    x = torch.randn(3, 64).bfloat16()
    packed.weight.mul_(-2)
    assert torch.equal(packed(x), F.linear(x, packed.weight, packed.bias))
    packed.pack(num_rows=3)
    torch.testing.assert_close(packed(x), F.linear(x, packed.weight, packed.bias), **TOL[torch.bfloat16])
    widened = packed.float()
    assert torch.equal(widened(x.float()), linear(x.float(), widened.weight, widened.bias))


@torch.no_grad()
def test_a_packed_layer_is_copied_without_its_packed_weight(packed: Linear) -> None:
    x = torch.randn(3, 64).bfloat16()
    twin = deepcopy(packed)
    assert twin._packed is None
    assert torch.equal(twin(x), F.linear(x, packed.weight, packed.bias))


@torch.no_grad()
def test_compiled_code_does_without_the_packed_copy(packed: Linear) -> None:
    x = torch.randn(3, 64).bfloat16()
    compiled = torch.compile(packed)
    torch.testing.assert_close(compiled(x), packed(x), **TOL[torch.bfloat16])


@torch.no_grad()
def test_another_weight_at_the_same_address_is_not_served_by_the_packed_copy(packed: Linear) -> None:
    memory = bytearray(2 * 48 * 64)

    def weight_of(value: float) -> torch.nn.Parameter:
        weight = torch.frombuffer(memory, dtype=torch.bfloat16).view(48, 64).fill_(value)
        return torch.nn.Parameter(weight.detach(), requires_grad=False)

    x = torch.ones(3, 64).bfloat16()
    packed.weight = weight_of(1)
    packed.pack(num_rows=3)
    packed.weight = weight_of(2)
    assert torch.equal(packed(x), F.linear(x, packed.weight, packed.bias))


def test_weights_made_in_inference_mode_serve_unpacked() -> None:
    with torch.inference_mode():
        layer, x = Linear(64, 48).bfloat16(), torch.randn(3, 64).bfloat16()
        layer.pack(num_rows=3)
        assert torch.equal(layer(x), F.linear(x, layer.weight, layer.bias))


_WITHOUT_ONEDNN = """
import types, torch
torch._C._has_mkldnn = False
torch.ops.__dict__["mkldnn"] = types.SimpleNamespace()
from infinity.linear import Linear, pack_linears
layer, x = Linear(5, 7), torch.ones(2, 5)
pack_linears(layer, 2)
layer(x).sum().backward()
assert torch.equal(layer.bias.grad, torch.full((7,), 2.0))
"""


def test_nothing_needs_a_pytorch_with_onednn() -> None:
    subprocess.run([sys.executable, "-c", _WITHOUT_ONEDNN], check=True)
