"""The transformer against the official one: same weights, texts and inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infinity.checkpoints.official_ar import export_official_transformer, has_chunks
from infinity.objectives import LossWeighting, token_weights
from infinity.rope2d import rope_tables
from infinity.schedules import ScaleSchedule, paper_schedule
from infinity.transformer import Infinity
from infinity.types import TextStates
from tests.parity.ledger import Ledger
from tests.parity.official import facts_of, one_logit, schedule_of, text_of, transformer_of

LIMIT = 1e-4


@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_rope_refers_to_the_schedule_of_the_recorded_ratio_where_several_begin_alike(ratio: float) -> None:
    meta = {"scale_schedule": [[1, 1, 1], [1, 2, 2]], "config": {"ratio": ratio}}
    assert schedule_of(meta).reference == paper_schedule(ratio).final


@pytest.mark.recorded("transformer")
def test_logits_losses_and_gradients_match(ledger: Ledger) -> None:
    weights = ledger.of_file("sd.")
    facts = facts_of(ledger)
    model = transformer_of(weights, facts).requires_grad_()
    schedule = schedule_of(facts)
    text = text_of(ledger["text.kv"], ledger["text.cu_seqlens"])
    compare_rotations(ledger, model, schedule)
    keep_all_B = torch.zeros(len(text.mask_BM), dtype=torch.bool)
    with intermediate_values(model, text) as values:
        logits = model(ledger["x_in"], text, schedule, drop_condition_B=keep_all_B)
    for name, value in values.items():
        ledger.relative(f"inter.{name}", value, LIMIT)
    ledger.absolute("logits", logits, LIMIT, one_logit)
    compare_rounded(ledger, logits)
    compare_dropped(ledger, model, text, schedule)
    compare_losses(ledger, model, logits, schedule)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    compare_gradients(
        ledger, export_official_transformer(gradients, model.config, chunked=has_chunks(weights))
    )
    ledger.settle()


def compare_rotations(ledger: Ledger, model: Infinity, schedule: ScaleSchedule) -> None:
    """Cosines and sines per token and channel pair; ours have them twice, the sine's first half negated."""
    config = model.config
    tables = rope_tables(schedule, config.head_dim, config.rope_grid, torch.device("cpu"))
    half = config.head_dim // 2
    ours = torch.stack([tables.cos[:, 0, 0, :half], tables.sin[:, 0, 0, half:]])
    ledger.absolute("rope_cache", ours, 1e-5, lambda cache: cache[:, 0, 0, 0, : schedule.seq_len])


def compare_rounded(ledger: Ledger, logits: Tensor) -> None:
    """Theirs with what enters cross-attention rounded to bfloat16, as on a GPU.

    Ours, which is not rounded, may be off by what the manifest says of each of a bit's two logits.
    """
    if "logits_ca_bf16" in ledger:
        rounding = 2 * float(ledger.meta.get("max_abs_diff_ca_bf16", 0.01))
        ledger.absolute("logits_ca_bf16", logits, LIMIT + rounding, one_logit)


def compare_dropped(ledger: Ledger, model: Infinity, text: TextStates, schedule: ScaleSchedule) -> None:
    """The null condition; which samples it was recorded for shows in their logits."""
    if "logits_dropped" not in ledger:
        return
    drop_B = (ledger["logits_dropped"] != ledger["logits"]).flatten(1).any(dim=1)
    with torch.no_grad():
        logits = model(ledger["x_in"], text, schedule, drop_condition_B=drop_B)
    ledger.absolute("logits_dropped", logits, LIMIT, one_logit)


def compare_losses(ledger: Ledger, model: Infinity, logits: Tensor, schedule: ScaleSchedule) -> None:
    """Both losses; gradients are those of the second."""
    nll_BL = model.head.loss(logits, ledger["gt"] != 0)
    ledger.absolute("loss_per_token", nll_BL, 1e-5)

    def loss(weighting: LossWeighting) -> Tensor:
        return (nll_BL.mean(dim=0) * token_weights(schedule, weighting, nll_BL.device)).sum()

    ledger.relative("loss_mean", loss("none"), 1e-5)
    ledger.relative("loss_reweighted", loss("sqrt_area"), 1e-5)
    loss("sqrt_area").backward()


def compare_gradients(ledger: Ledger, ours: dict[str, Tensor]) -> None:
    """Relative to each tensor's largest value, where that is more than rounding of the others."""
    recorded = ledger.under("grad.")
    largest = max((gradient.abs().max().item() for gradient in recorded.values()), default=0.0)
    for name in recorded:
        ledger.relative(f"grad.{name}", ours[name], LIMIT, floor=1e-6 * largest)


@contextmanager
def intermediate_values(model: Infinity, text: TextStates) -> Iterator[dict[str, Tensor]]:
    """What a recording calls "inter.*", collected during a forward pass."""
    values: dict[str, Tensor] = {}

    def keep_condition(module: nn.Module, inputs: Any, condition: Any) -> None:
        values["cond_BD"] = condition.pooled_BC
        values["ca_kv"] = condition.tokens_BMC[text.mask_BM]  # packed, as theirs
        values["shared_ada"] = condition.modulation_B6C[:, None]

    def keeper(name: str) -> Any:
        return lambda module, inputs, output: values.update({name: output})

    handles = [model.conditioner.register_forward_hook(keep_condition)]
    for i, block in enumerate(model.layers):
        parts = {"": block, "_sa": block.self_attn, "_ca": block.cross_attn, "_ffn": block.ffn}
        for suffix, part in parts.items():
            handles.append(part.register_forward_hook(keeper(f"block{i}{suffix}")))
    yield values
    for handle in handles:
        handle.remove()
