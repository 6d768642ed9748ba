"""Exponential moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from lit_modules.sharding import full, local, shard_like

__all__ = ["EMA", "averaged_weights"]


class EMA(Callback):
    """Averages the weights of ``module.net`` after every optimizer step; validation and export use the
    average.

    Every operation is elementwise, so that a rank may hold a shard of each weight.

    Args:
        decay: share of the old average that a step keeps, once warmed up; step n keeps at most (1 + n) / (10
            + n). 0 turns averaging off.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema.decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.num_updates = 0
        self._averages: dict[str, Tensor] = {}
        self._global_step = 0
        self._swapped = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._prepare(pl_module)
        self._global_step = trainer.global_step

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if trainer.global_step != self._global_step:  # not after a batch that only accumulates gradients
            self._global_step = trainer.global_step
            self.update(pl_module)

    @torch.no_grad()
    def update(self, pl_module: L.LightningModule) -> None:
        """Move the average towards the weights as they are now."""
        if not self.decay:
            return
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        averages = [local(average) for average in self._averages.values()]
        weights = [local(weight) for weight in _weights(pl_module).values()]
        torch._foreach_lerp_(averages, weights, 1 - decay)
        self.num_updates += 1

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._prepare(pl_module)
        self._swap(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._swap(pl_module)

    on_test_start = on_validation_start
    on_test_end = on_validation_end

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if self._swapped:  # a checkpoint that is written now has to hold the weights themselves
            self._swap(pl_module)

    def state_dict(self) -> dict[str, Any]:
        averages = {name: full(average) for name, average in self._averages.items()}
        return {"num_updates": self.num_updates, "averages": averages}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_updates = state_dict["num_updates"]
        self._averages = dict(state_dict["averages"])

    def _prepare(self, pl_module: L.LightningModule) -> None:
        """Start the average at the weights, or move a loaded one to their device."""
        if not self.decay:
            self._averages = {}
            return
        loaded = self._averages
        self._averages = {
            name: shard_like(loaded[name], weight) if loaded else weight.detach().clone()
            for name, weight in _weights(pl_module).items()
        }

    @torch.no_grad()
    def _swap(self, pl_module: L.LightningModule) -> None:
        for name, weight in _weights(pl_module).items() if self._averages else ():
            kept = weight.detach().clone()
            weight.copy_(self._averages[name])
            self._averages[name].copy_(kept)
        self._swapped = not self._swapped


@contextmanager
def averaged_weights(trainer: L.Trainer, pl_module: L.LightningModule) -> Iterator[None]:
    """Within the context the module has the averaged weights, if the trainer averages any."""
    ema = next((callback for callback in trainer.callbacks if isinstance(callback, EMA)), None)
    if ema is None or ema._swapped:
        yield
        return
    ema._prepare(pl_module)  # a finished run's averages are still where the checkpoint was read
    ema._swap(pl_module)
    try:
        yield
    finally:
        ema._swap(pl_module)


def _weights(pl_module: L.LightningModule) -> dict[str, Tensor]:
    return {name: weight for name, weight in pl_module.net.named_parameters() if weight.requires_grad}
