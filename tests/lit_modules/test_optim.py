from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from lit_modules.muon import MuonAdamW
from lit_modules.optim import OptimizerConfig, build_optimizer, lr_scale
from tests.tolerances import TOL


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
    [
        ("constant", 0.9, 1.0),
        ("linear", 0.1, 1.0),
        ("linear", 0.5, 1.0),
        ("linear", 0.75, 0.55),
        ("linear", 1.0, 0.1),
        ("cosine", 0.75, 0.55),
        ("cosine", 0.625, 0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2),
        ("cosine", 1.2, 0.1),
    ],
)
def test_the_learning_rate_holds_and_then_decays_to_its_final_share(
    schedule: str, progress: float, expected: float
) -> None:
    config = OptimizerConfig(schedule=schedule, decay_start=0.5, final_lr=0.1)
    assert lr_scale(progress, step=1000, config=config) == pytest.approx(expected)


def test_warmup_grows_linearly_and_multiplies_the_decay() -> None:
    config = OptimizerConfig(schedule="linear", warmup_steps=4)
    assert [lr_scale(0.0, step, config) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])
    assert lr_scale(0.5, 1, config) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0},
        {"betas": (0.9, 1.0)},
        {"decay_start": 1.0},
        {"final_lr": 2.0},
        {"grad_clip": -1.0},
        {"kind": "sgd"},
        {"schedule": "straight"},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OptimizerConfig(**wrong)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))


def groups(net: nn.Module) -> list[dict]:
    matrices = [p for p in net.parameters() if p.ndim == 2]
    vectors = [p for p in net.parameters() if p.ndim < 2]
    return [
        {"name": "net", "params": matrices, "weight_decay": 0.1},
        {"name": "net", "params": vectors, "weight_decay": 0.0},
    ]


def muon(net: nn.Module) -> torch.optim.Optimizer:
    config = OptimizerConfig(kind="muon", lr=0.05, betas=(0.8, 0.9))
    return build_optimizer(groups(net), config, matrices=[p for p in net.parameters() if p.ndim == 2])


def step(net: nn.Module, *optimizers: torch.optim.Optimizer, seed: int) -> None:
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(seed))
    for optimizer in optimizers:
        optimizer.zero_grad()
    net(x).square().mean().backward()
    for optimizer in optimizers:
        optimizer.step()


def test_muon_and_adamw_in_one_optimizer_step_as_the_two_apart() -> None:
    ours, theirs = network(), network()
    theirs.load_state_dict(ours.state_dict())
    optimizer = muon(ours)
    matrices, vectors = (group["params"] for group in groups(theirs))
    parts = (
        torch.optim.Muon(matrices, lr=0.05, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(vectors, lr=0.05, betas=(0.8, 0.9), weight_decay=0.0),
    )
    before = copy.deepcopy(ours.state_dict())
    for seed in range(3):
        step(ours, optimizer, seed=seed)
        step(theirs, *parts, seed=seed)
    for name, weight in ours.state_dict().items():
        torch.testing.assert_close(weight, theirs.state_dict()[name], **TOL[torch.float32])
        assert not torch.equal(weight, before[name])


def test_the_combined_optimizer_goes_on_exactly_from_its_state_dict() -> None:
    straight = network()
    optimizer = muon(straight)
    step(straight, optimizer, seed=0)
    resumed = copy.deepcopy(straight)
    restored = muon(resumed)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    step(straight, optimizer, seed=1)
    step(resumed, restored, seed=1)
    for a, b in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_learning_rate_scheduler_reaches_both_parts() -> None:
    net = network()
    optimizer = muon(net)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 0.0)
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    before = copy.deepcopy(net.state_dict())
    step(net, optimizer, seed=0)
    for name, weight in net.state_dict().items():
        assert torch.equal(weight, before[name])


def test_groups_without_parameters_are_left_out() -> None:
    net = network()
    optimizer = build_optimizer(
        [*groups(net), {"name": "none", "params": [], "weight_decay": 0.0}], OptimizerConfig()
    )
    assert [group["name"] for group in optimizer.param_groups] == ["net", "net"]
    assert not isinstance(optimizer, MuonAdamW)
