"""Which checkpoints a run keeps: the last one, to go on from, and the best one."""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

__all__ = ["Checkpoints", "last_checkpoint"]

logger = logging.getLogger(__name__)


def last_checkpoint(run: str | Path) -> Path:
    """Where a run keeps the checkpoint to go on from."""
    return Path(run) / "checkpoints" / "last.ckpt"


class Checkpoints(Checkpoint):
    """Keeps ``<run>/checkpoints/last.ckpt`` and ``best.ckpt``; a reader never sees half a file.

    The last one is written by time, by steps, at the end, and at the end of the current step on SIGTERM.

    Args:
        every_minutes: time between two checkpoints; 0 for none by time.
        every_n_steps: steps between two checkpoints; 0 for none by steps.
        monitor: logged quantity of which the lowest value is the best; empty to keep no best checkpoint.
    """

    def __init__(self, every_minutes: float = 5.0, every_n_steps: int = 0, monitor: str = "val/loss") -> None:
        if every_minutes < 0 or every_n_steps < 0:
            raise ValueError(
                "checkpoints.every_minutes and checkpoints.every_n_steps must not be negative, "
                f"got {every_minutes} and {every_n_steps}"
            )
        self.every_minutes = every_minutes
        self.every_n_steps = every_n_steps
        self.monitor = monitor
        self.best = math.inf
        self._saved_step = -1
        self._saved_time = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        step = trainer.global_step
        if step == self._saved_step:
            return
        due = bool(self.every_n_steps) and step % self.every_n_steps == 0
        if self.every_minutes and not due:
            late = time.monotonic() - self._saved_time >= 60 * self.every_minutes
            due = trainer.strategy.broadcast(late)  # clocks differ between ranks
        if due:
            self._save_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit" or trainer.sanity_checking or not self.monitor:
            return
        if self.monitor not in trainer.callback_metrics:
            logged = ", ".join(sorted(name for name in trainer.callback_metrics if name.startswith("val/")))
            raise ValueError(f"checkpoints.monitor {self.monitor} is not logged; validation logs {logged}")
        value = trainer.callback_metrics[self.monitor].item()
        if value < self.best:
            self.best = value
            _save(trainer, last_checkpoint(trainer.default_root_dir).with_name("best.ckpt"))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step != self._saved_step:
            self._save_last(trainer)

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        # raised between two steps, unlike other exceptions, after which the state may be torn
        if isinstance(exception, SIGTERMException) and trainer.global_step != self._saved_step:
            self._save_last(trainer)
        if isinstance(exception, KeyboardInterrupt | SIGTERMException) and self._saved_step > 0:
            logger.info("interrupted; --ckpt_path last goes on from step %d", self._saved_step)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def _save_last(self, trainer: L.Trainer) -> None:
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()
        _save(trainer, last_checkpoint(trainer.default_root_dir))


def _save(trainer: L.Trainer, path: Path) -> None:
    """Write beside `path`, then rename; a sharded checkpoint is a directory."""
    if trainer.fast_dev_run:
        return
    temporary = path.with_suffix(".writing")
    trainer.save_checkpoint(temporary)
    if trainer.is_global_zero:
        if path.is_dir():
            shutil.rmtree(path)
        if temporary.is_file():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    trainer.strategy.barrier()
