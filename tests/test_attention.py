"""Block-causal attention: all ways compute the same."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.attention import (
    AttentionKind,
    attend,
    attention_plan,
    block_causal_mask,
    softmax_attention,
    split_groups,
)
from infinity.precision import bfloat16_products
from infinity.schedules import ScaleSchedule, paper_schedule
from tests.tolerances import TOL

CPU = torch.device("cpu")
SCHEDULES = {
    "merged": ScaleSchedule(((1, 1), (2, 2), (3, 4))),
    "split": paper_schedule(1.0, "0.06M").prefix(6),
    "start": ScaleSchedule(((12, 11), (12, 12))),
}


def qkv(schedule: ScaleSchedule, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    shape = (2, 3, schedule.seq_len, 8)
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for _ in range(3)]


def attend_token_by_token(q: Tensor, k: Tensor, v: Tensor, schedule: ScaleSchedule) -> Tensor:
    out = torch.empty_like(q)
    for tokens, end in zip(schedule.slices, schedule.offsets[1:], strict=True):
        for token in range(tokens.start, tokens.stop):
            scores = (q[:, :, None, token] * k[:, :, :end]).sum(-1)
            out[:, :, token] = (scores.softmax(-1)[..., None] * v[:, :, :end]).sum(2)
    return out


@pytest.mark.parametrize("kind", ["split", "dense"])
def test_a_token_attends_to_its_own_scale_and_all_before(kind: AttentionKind) -> None:
    schedule = SCHEDULES["merged"]
    q, k, v = qkv(schedule)
    with torch.no_grad():
        out = attend(q, k, v, attention_plan(schedule, kind, CPU))
        torch.testing.assert_close(out, attend_token_by_token(q, k, v, schedule), **TOL[torch.float32])


@pytest.mark.parametrize("name", SCHEDULES)
def test_split_and_dense_agree_in_outputs_and_gradients(name: str) -> None:
    schedule = SCHEDULES[name]
    tensors = qkv(schedule)
    weight = torch.randn(tensors[0].shape)
    results = []
    for kind in ("split", "dense"):
        out = attend(*tensors, attention_plan(schedule, kind, CPU))
        results.append([out, *torch.autograd.grad((out * weight).sum(), tensors)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, **TOL[torch.float32])


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_agrees_with_dense() -> None:
    schedule = SCHEDULES["split"]
    with torch.no_grad():
        q, k, v = (tensor.detach() for tensor in qkv(schedule))  # FlexAttention has no backward on the CPU
        flex = attend(q, k, v, attention_plan(schedule, "flex", CPU))
        dense = attend(q, k, v, attention_plan(schedule, "dense", CPU))
    torch.testing.assert_close(flex, dense, **TOL[torch.float32])


@pytest.mark.parametrize("merge_tokens", [0, 1, 4, 5, 20, 1000])
@pytest.mark.parametrize("name", SCHEDULES)
def test_groups_cover_every_query_once_and_end_with_scales(name: str, merge_tokens: int) -> None:
    schedule = SCHEDULES[name]
    groups = split_groups(schedule, merge_tokens)
    assert [start for start, _ in groups] == [0, *[end for _, end in groups[:-1]]]
    assert groups[-1][1] == schedule.seq_len
    assert {end for _, end in groups} <= set(schedule.offsets)
    for start, end in groups[1:]:  # without a mask, so one scale only
        assert slice(start, end) in schedule.slices


def test_the_mask_is_true_where_the_key_is_not_of_a_finer_scale() -> None:
    mask = block_causal_mask(SCHEDULES["merged"], 5, CPU)
    expected = torch.ones(5, 5, dtype=torch.bool)
    expected[0, 1:] = False
    assert torch.equal(mask, expected)


def test_softmax_scale_is_one() -> None:
    schedule = ScaleSchedule(((1, 2),))
    q = torch.tensor([1.0, 0, 0, 0]).expand(1, 1, 2, 4)
    k = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])[None, None]
    v = torch.tensor([[1.0], [0.0]])[None, None].expand(1, 1, 2, 4)
    out = attend(q, k, v, attention_plan(schedule, "split", CPU))
    assert math.isclose(out[0, 0, 0, 0].item(), math.e / (math.e + 1), rel_tol=1e-5)


def test_plans_first_made_in_inference_mode_can_be_trained_with() -> None:
    schedule = ScaleSchedule(((1, 1), (2, 5)))
    with torch.inference_mode():
        attention_plan(schedule, "split", CPU)
    q, k, v = qkv(schedule)
    attend(q, k, v, attention_plan(schedule, "split", CPU)).sum().backward()
    assert q.grad is not None


@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_training_on_cpu_equals_the_fused_kernel_and_its_gradients(masked):
    q, k, v = (torch.randn(2, 3, length, 8, dtype=torch.bfloat16) for length in (5, 7, 7))
    mask = torch.arange(7) < torch.arange(3, 8)[:, None] if masked else None
    results = []
    for function in (
        lambda *qkv: softmax_attention(*qkv, mask, 0.3),
        lambda *qkv: F.scaled_dot_product_attention(*(x.float() for x in qkv), attn_mask=mask, scale=0.3),
    ):
        leaves = [tensor.clone().requires_grad_() for tensor in (q, k, v)]
        output = function(*leaves)
        output.float().square().sum().backward()
        results.append([output, *(leaf.grad for leaf in leaves)])
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours.float(), expected.float(), **TOL[torch.bfloat16])


@pytest.mark.parametrize("temperature", [4.0, 30.0, 100.0])
def test_bfloat16_training_on_cpu_keeps_the_scores_of_sharp_attention_exact(temperature: float) -> None:
    """Cosine attention learns temperatures up to 100, where bfloat16 scores would be off by up to 1/4."""
    q, k, v = (F.normalize(torch.randn(2, 3, 40, 16), dim=-1) for _ in range(3))
    leaves = [x.bfloat16().requires_grad_() for x in (q * temperature, k + 0.3 * q, v)]
    twins = [x.detach().double().requires_grad_() for x in leaves]
    mask = torch.ones(40, 40).tril(5).bool()
    out = softmax_attention(*leaves, mask, 1.0)
    exact = F.scaled_dot_product_attention(*twins, attn_mask=mask, scale=1.0)
    cotangent = torch.randn(out.shape).bfloat16()
    ours = [out, *torch.autograd.grad(out, leaves, cotangent)]
    expected = [exact, *torch.autograd.grad(exact, twins, cotangent.double())]
    for actual, wanted in zip(ours, expected, strict=True):
        assert (actual.double() - wanted).norm() < 2**-7 * wanted.norm()


@pytest.mark.parametrize("masks", ["none", "of keys", "of queries and keys"])
@pytest.mark.parametrize("max_scores", [2**26, 1000])
def test_bfloat16_sampling_on_cpu_keeps_the_scores_of_sharp_attention_exact(
    masks: str, max_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infinity.attention._MAX_SCORES", max_scores)  # the queries in 1 chunk, or in 10
    q, k, v = (F.normalize(torch.randn(2, 3, 40, 16), dim=-1) for _ in range(3))
    q, k, v = (x.bfloat16() for x in (q * 100, k + 0.3 * q, v))
    visible = torch.ones(40, 40).tril(5).bool()
    mask = {"none": None, "of keys": visible[20], "of queries and keys": visible}[masks]
    mask = mask if mask is None else mask.view(1, 1, -1, 40)
    with torch.no_grad():
        out = softmax_attention(q, k, v, mask, 1.0)
    exact = F.scaled_dot_product_attention(*(x.double() for x in (q, k, v)), attn_mask=mask, scale=1.0)
    assert (out.double() - exact).norm() < 2**-7 * exact.norm()


def test_products_of_bfloat16_numbers_are_exact_and_others_stay_in_full_precision() -> None:
    a, b = (torch.randn(64, 64) for _ in range(2))
    before = a @ b
    a_rounded, b_rounded = a.bfloat16(), b.bfloat16()
    with bfloat16_products():
        product = a_rounded.float() @ b_rounded.float()
    exact = a_rounded.double() @ b_rounded.double()
    torch.testing.assert_close(product.double(), exact, rtol=0, atol=1e-4)
    assert torch.equal(a @ b, before)


def test_written_out_attention_can_be_compiled() -> None:
    tensors = [torch.randn(1, 2, 5, 8, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    mask = torch.ones(5, 5).tril().bool()
    eager, compiled = (
        function(*tensors, mask, 0.3)
        for function in (
            softmax_attention,
            torch.compile(softmax_attention, backend="aot_eager", fullgraph=True),
        )
    )
    grads = [torch.autograd.grad(out.float().square().sum(), tensors) for out in (eager, compiled)]
    torch.testing.assert_close(compiled, eager, **TOL[torch.bfloat16])
    torch.testing.assert_close(*grads, **TOL[torch.bfloat16])
