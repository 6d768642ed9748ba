"""Muon and AdamW as one optimizer, so that a training step is one optimizer step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["MuonAdamW"]


class MuonAdamW(torch.optim.Optimizer):
    """Updates groups with ``use_muon`` by Muon (momentum 0.95, Nesterov) and the others by AdamW.

    The state and the groups live here; PyTorch's two optimizers borrow them for a step.
    """

    def __init__(self, groups: list[dict[str, Any]], *, lr: float, betas: tuple[float, float]) -> None:
        muon = [group for group in groups if group["use_muon"]]
        adamw = [group for group in groups if not group["use_muon"]]
        # Muon's update of a matrix is scaled to the size of AdamW's, so that one learning rate suits both
        self._muon = torch.optim.Muon(muon, lr=lr, adjust_lr_fn="match_rms_adamw") if muon else None
        self._adamw = torch.optim.AdamW(adamw, lr=lr, betas=betas, fused=True) if adamw else None
        parts = [part for part in (self._muon, self._adamw) if part is not None]
        super().__init__([group for part in parts for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in (self._muon, self._adamw):
            if part is not None:
                part.state = self.state
                part.param_groups = [g for g in self.param_groups if g["use_muon"] == (part is self._muon)]
                part.step()
        return loss
