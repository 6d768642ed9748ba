"""Optimizer and learning rate: one configuration, one optimizer object, a schedule over progress.

Progress is a number in [0, 1]: the share of steps or of the time budget that is spent, whichever is larger.
A run limited by wall-clock time thus decays its learning rate just as one limited by steps does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from infinity.configs import check_literals
from lit_modules.muon import MuonAdamW

__all__ = ["OptimizerConfig", "build_optimizer", "lr_scale"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """How weights are updated.

    Args:
        kind: "adamw", or "muon": Muon for the matrices of the transformer's blocks and AdamW for all else, at
            the same learning rate (Muon's updates are scaled to the size of AdamW's).
        lr: peak learning rate.
        betas: AdamW's averaging factors.
        weight_decay: decoupled, on matrices only.
        warmup_steps: steps over which the learning rate grows linearly from 0.
        schedule: what happens after `decay_start`.
        decay_start: progress at which the decay begins.
        final_lr: where the decay ends, as a share of `lr`.
        grad_clip: largest norm of the gradient; 0 for no limit.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    warmup_steps: int = 0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    decay_start: float = 0.0
    final_lr: float = 0.0
    grad_clip: float = 1.0

    def __post_init__(self) -> None:
        check_literals(self)
        object.__setattr__(self, "betas", tuple(self.betas))
        if self.lr <= 0:
            raise ValueError(f"lr must be positive, got {self.lr}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {self.betas}")
        for name in ("weight_decay", "warmup_steps", "grad_clip"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not 0 <= self.decay_start < 1:
            raise ValueError(
                f"decay_start is a share of the run and must be in [0, 1), got {self.decay_start}"
            )
        if not 0 <= self.final_lr <= 1:
            raise ValueError(f"final_lr is a share of lr and must be in [0, 1], got {self.final_lr}")


def lr_scale(progress: float, step: int, config: OptimizerConfig) -> float:
    """Factor on the learning rate of step `step` (from 0) when `progress` of the run is done."""
    warmup = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    decayed = min(1.0, max(0.0, (progress - config.decay_start) / (1 - config.decay_start)))
    if config.schedule == "constant":
        share_left = 1.0
    elif config.schedule == "linear":
        share_left = 1 - decayed
    else:
        share_left = (1 + math.cos(math.pi * decayed)) / 2
    return warmup * (config.final_lr + (1 - config.final_lr) * share_left)


def build_optimizer(
    groups: list[dict[str, Any]], config: OptimizerConfig, *, matrices: Iterable[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """One optimizer over parameter groups (PyTorch's dicts).

    Args:
        matrices: the parameters that Muon updates, where `config.kind` asks for it.
    """
    groups = [group for group in groups if group["params"]]
    if config.kind == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, fused=True)
    chosen = {id(parameter) for parameter in matrices}
    split: list[dict[str, Any]] = []
    for group in groups:
        for use_muon in (True, False):
            params = [parameter for parameter in group["params"] if (id(parameter) in chosen) == use_muon]
            if params:
                split.append({**group, "params": params, "use_muon": use_muon})
    return MuonAdamW(split, lr=config.lr, betas=config.betas)
