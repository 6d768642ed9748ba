"""What the LightningModules share: randomness, logging, learning rate, clipping, checkpoint identity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Timer
from torch import Tensor, nn

from infinity.configs import config_from_dict, config_to_dict
from infinity.randomness import BatchShare
from infinity.types import LossTerms
from lit_modules.metrics import NamedMeans
from lit_modules.optim import OptimizerConfig, lr_scale
from lit_modules.sharding import full

__all__ = ["Split", "SuiteModule", "plain", "time_limit"]

Split = Literal["train", "val", "test"]
_TRAINING_ONLY = {
    *("attention", "condition_dropout", "drop_path", "gamma_init"),
    *(f"quantizer.{name}_weight" for name in ("commitment", "entropy")),
    *(f"quantizer.{name}" for name in ("detach_residual", "diversity_gamma", "inv_temperature")),
    "quantizer.scale_depth_dropout",
}
"""Keys of a network's config that don't change what its weights compute."""
_STREAMS = {"train": 0, "val": 1, "test": 2}


class SuiteModule(L.LightningModule):
    """A page of wiring around one network of the core.

    Subclasses set `net`, the network that is trained, averaged and exported, and `configs`, the dataclasses
    that a checkpoint must agree with.
    """

    net: nn.Module
    configs: dict[str, Any]

    def __init__(self, *, optimizer: OptimizerConfig, seed: int) -> None:
        super().__init__()
        self.optimizer_config = optimizer
        self.seed = seed
        self._loaded_steps = 0
        self._logged_step = 0
        self.last_losses: dict[Split, float] = {}  # as last logged
        self._means: dict[Split, NamedMeans] = {}  # a plain dict keeps them out of the state dict

    @property
    def num_steps(self) -> int:
        """Optimizer steps that made the weights; the trainer counts from 0 when it only evaluates."""
        return max(self.global_step, self._loaded_steps)

    # Randomness

    def randomness(self, split: Split, batch_size: int, batch_idx: int) -> BatchShare:
        """This rank's share of a batch's random numbers.

        They depend on seed and position alone, so resumed runs and repeated evaluations draw the same ones.
        """
        if split == "train":
            position = (self.global_step, batch_idx % self.trainer.accumulate_grad_batches)
        else:
            position = (batch_idx,)
        (seed,) = np.random.SeedSequence((self.seed, _STREAMS[split], *position)).generate_state(1, np.uint64)
        generator = torch.Generator(self.device).manual_seed(int(seed))
        num_ranks = self.trainer.world_size
        return BatchShare(generator, self.global_rank * batch_size, num_ranks * batch_size)

    # Logging

    def log_terms(self, split: Split, terms: LossTerms, batch_size: int) -> None:
        """Collect what a step reports; training logs the means every few steps."""
        values = {f"{split}/loss": terms.total.detach()}
        values |= {f"{split}/{name}": value for name, value in terms.logs.items()}
        means = self._means.get(split)
        if means is None or set(means.names) != values.keys():  # a loss may start during a run
            self._means[split] = NamedMeans(tuple(values)).to(self.device)
        self._means[split].update(values, batch_size)

    def on_train_batch_end(self, *_: Any) -> None:
        due = self.global_step % self.trainer.log_every_n_steps == 0
        if due and self.global_step != self._logged_step:  # not again in the batches that only accumulate
            self._logged_step = self.global_step
            self._flush("train")

    def on_validation_epoch_end(self) -> None:
        self._flush("val")

    def on_test_epoch_end(self) -> None:
        self._flush("test")

    def _flush(self, split: Split) -> None:
        means = self._means.pop(split, None)
        if means is None:
            return
        values = means.compute()
        self.log_dict(values)
        self.last_losses[split] = loss = values[f"{split}/loss"].item()
        if not math.isfinite(loss):
            raise ValueError(
                f"{split}/loss is {loss} at step {self.global_step}; lower model.optimizer.lr or "
                "model.optimizer.grad_clip"
            )

    # Optimization

    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]: of its steps or of its time, whichever is larger."""
        trainer = self.trainer
        shares = [0.0]
        if trainer.max_steps > 0:
            shares.append(trainer.global_step / trainer.max_steps)
        timer = time_limit(trainer)
        if timer is not None:
            elapsed, remaining = timer.time_elapsed(), timer.time_remaining()
            # clocks differ between ranks, but learning rates must not
            shares.append(trainer.strategy.broadcast(elapsed / max(1e-9, elapsed + remaining)))
        return min(1.0, max(shares))

    def with_schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Attach the learning-rate schedule, in Lightning's format."""
        config, trainer = self.optimizer_config, self.trainer
        if trainer.gradient_clip_val is not None:
            raise ValueError(
                "gradients are clipped by model.optimizer.grad_clip; remove trainer.gradient_clip_val"
            )
        if config.schedule != "constant" and trainer.max_steps <= 0 and time_limit(trainer) is None:
            raise ValueError(
                f"model.optimizer.schedule {config.schedule} decays over the run, which has no end; "
                "set trainer.max_steps or trainer.max_time, or use schedule: constant"
            )
        scheduler = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: lr_scale(self.progress(), step, config)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        limit = self.optimizer_config.grad_clip or float("inf")
        log = (self.global_step + 1) % self.trainer.log_every_n_steps == 0
        for name, parameters in _by_name(optimizer):
            norm = nn.utils.clip_grad_norm_(parameters, limit)
            if log:
                self.log(f"train/grad_norm/{name}", full(norm))
        if log:
            self.log("train/lr", optimizer.param_groups[0]["lr"])

    # Checkpoints

    def _start_from(self, trained: nn.Module) -> None:
        """Start with the weights of a trained network of the same shape."""
        ours, theirs = (config_to_dict(net.config) for net in (self.net, trained))
        different = ", ".join(
            key for key, there, here in _differences(theirs, ours) if key not in _TRAINING_ONLY
        )
        if different:
            raise ValueError(f"model.init_from {self.init_from} holds another network: {different} differ")
        self.net.load_state_dict(trained.state_dict(), strict=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = plain(self.configs)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.check_config(checkpoint["config"])
        self._loaded_steps = checkpoint["global_step"]

    def check_config(self, saved: dict[str, Any]) -> None:
        """Refuse a checkpoint whose configuration this module can't resume."""
        if saved.keys() != self.configs.keys():
            raise ValueError(
                f"the checkpoint holds another kind of model: it is configured by {', '.join(saved)}, "
                f"this one by {', '.join(self.configs)}"
            )
        # rebuilt, so that keys that the checkpoint doesn't know have their defaults
        rebuilt = {name: config_from_dict(type(config), saved[name]) for name, config in self.configs.items()}
        different = [
            f"model.{key} is {there} there and {here} here"
            for key, there, here in _differences(plain(rebuilt), plain(self.configs))
        ]
        if different:
            more = f" (and {len(different) - 3} more)" if len(different) > 3 else ""
            raise ValueError(
                f"the checkpoint belongs to another config: {'; '.join(different[:3])}{more}. Give the same "
                "values to resume, or start a new run from exported weights with model.init_from"
            )


def plain(configs: dict[str, Any]) -> dict[str, Any]:
    """Dataclasses as dicts and lists."""
    return {name: config_to_dict(config) for name, config in configs.items()}


def time_limit(trainer: L.Trainer) -> Timer | None:
    """The timer behind ``trainer.max_time``, if there is one."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]
    return next((timer for timer in timers if timer.time_remaining() is not None), None)


def _differences(theirs: Any, ours: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in [*ours, *(name for name in theirs if name not in ours)]:
            yield from _differences(theirs.get(name), ours.get(name), f"{key}.{name}" if key else name)
    elif theirs != ours:
        yield key, theirs, ours


def _by_name(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, list[Tensor]]]:
    """Parameters by group name; groups of one name are clipped together."""
    named: dict[str, list[Tensor]] = {}
    for group in optimizer.param_groups:
        named.setdefault(group["name"], []).extend(group["params"])
    yield from named.items()
