"""Formulas against what autograd saves, and against the most bytes that are alive."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from infinity.objectives import ARObjectiveConfig, ar_objective
from infinity.planning import Plan, PlanOptions, make_plan, paper_tokenizer
from infinity.sampling import SamplingConfig, generate
from infinity.sampling.rounding import round_blocks
from infinity.schedules import ScaleSchedule, build_schedule, paper_schedule
from infinity.transformer import Infinity
from tests.planning.live_bytes import LiveBytes
from tests.transformer.tiny import tiny_inputs, tiny_model, tiny_text

WITHIN = 0.05  # the formulas leave out what has no channels: masks, per-image vectors, tables
SHORT = build_schedule(1.0, (1, 2, 4, 6))  # one call of attention
LONG = paper_schedule(0.5, "0.06M")  # several
SIZE = {"depth": 4, "width": 64, "num_heads": 2, "token_bits": 6, "text_width": 48, "text_max_len": 40}
MODELS = [{}, {"attention": "dense"}, {"head": "indexwise", "token_bits": 8}, {"width": 96, "num_heads": 3}]
PRECISIONS = ["32", "bf16-mixed", "bf16-true"]
BATCH, TEXT = 3, 12


@pytest.fixture(autouse=True)
def fused_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on GPUs; on CPUs, the products of attention are written out in bfloat16."""

    def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)

    monkeypatch.setattr("infinity.attention.softmax_attention", attention)
    monkeypatch.setattr("infinity.transformer.blocks.softmax_attention", attention)
    monkeypatch.setattr("infinity.sampling.cache.softmax_attention", attention)


def prepared(precision: str, **options: Any) -> Infinity:
    model = tiny_model(**{**SIZE, **options})
    return model.bfloat16() if precision == "bf16-true" else model


def autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16-mixed")


def planned(model: Infinity, schedule: ScaleSchedule, **options: Any) -> Plan:
    settings = PlanOptions(batch_size=BATCH, text_length=TEXT, **options)
    return make_plan(model.config, paper_tokenizer(model.config.token_bits), schedule, settings)


def saved_bytes(model: Infinity, schedule: ScaleSchedule, precision: str) -> int:
    """Bytes of the tensors that a backward pass needs, weights aside; storages count once and whole."""
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    config = model.config
    text = tiny_text((TEXT,) * BATCH, width=config.text_width)
    inputs = tiny_inputs(schedule, BATCH, config.token_bits)
    labels = torch.rand(BATCH, schedule.seq_len, config.token_bits) < 0.5
    drop_B = torch.arange(BATCH) == 1
    with saved_tensors_hooks(keep, lambda tensor: tensor), autocast(precision):
        loss = model.head.loss(model(inputs, text, schedule, drop_condition_B=drop_B), labels)
    del loss
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return sum(storage.nbytes() for key, storage in storages.items() if key not in weights)


@pytest.mark.parametrize("schedule", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("options", MODELS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_activations_are_those_that_autograd_saves(
    schedule: ScaleSchedule, options: dict[str, Any], precision: str
) -> None:
    model = prepared(precision, **options)
    plan = planned(model, schedule, precision=precision).training
    num_logits = plan.logits // 3  # log-probabilities of classes; or logits and labels of bits
    kept = num_logits if model.config.head == "indexwise" else 2 * num_logits
    expected = saved_bytes(model, schedule, precision)
    assert plan.activations + plan.casts + kept == pytest.approx(expected, rel=WITHIN)


@pytest.mark.parametrize("recomputed", [False, True])
@pytest.mark.parametrize("options", [{}, {"head": "indexwise", "token_bits": 10}])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_step_peaks_where_planned(
    recomputed: bool, options: dict[str, Any], precision: str
) -> None:
    model = prepared(precision, drop_path=0.1, **options).train()
    model.activation_checkpointing = recomputed
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    features = torch.randn(BATCH, model.config.token_bits, *LONG.final)
    text = tiny_text((TEXT,) * BATCH, width=model.config.text_width)
    generator = torch.Generator().manual_seed(0)
    with LiveBytes() as live:
        with autocast(precision):
            loss = ar_objective(model, features, text, LONG, config=ARObjectiveConfig(), generator=generator)
        loss.total.backward()
    options = {"checkpointing": "block" if recomputed else "none", "precision": precision}
    plan = planned(model, LONG, **options).training
    step = plan.activations + plan.casts + plan.logits
    # logits of indices and a recomputed block are both counted, but are alive one after the other
    most = 1.6 if recomputed and model.config.head == "indexwise" else 1.05
    assert 0.95 * live.peak < step < most * live.peak


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("options", [{}, {"head": "indexwise", "token_bits": 10}, {"width": 128}])
@pytest.mark.parametrize("precision", ["32", "bf16-true"])
def test_drawing_peaks_where_planned(guided: bool, options: dict[str, Any], precision: str) -> None:
    model = tiny_model(**{**SIZE, **options}).requires_grad_(False)
    if precision != "32":
        round_blocks(model, torch.bfloat16)
    text = tiny_text((TEXT,) * BATCH, width=model.config.text_width)
    generators = [torch.Generator().manual_seed(i) for i in range(BATCH)]
    settings = SamplingConfig(guidance=3.0 if guided else 1.0)
    with LiveBytes() as live:
        generate(model, text, LONG, settings, generators=generators)
    plan = planned(model, LONG, precision=precision, guided=guided).drawing
    assert plan.kv_cache + plan.text_keys_values + plan.activations == pytest.approx(live.peak, rel=WITHIN)
