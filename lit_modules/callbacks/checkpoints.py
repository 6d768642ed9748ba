"""Which checkpoints a run keeps: the last one, to go on from, and the best one."""

from __future__ import annotations

import logging
import math
import time
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException

from infinity.atomic import remove
from infinity.distributed import all_reduce_mean
from lit_modules.checkpoint_files import last_checkpoint, replace_checkpoint
from lit_modules.sharding import local

__all__ = ["Checkpoints"]

logger = logging.getLogger(__name__)


class Checkpoints(Checkpoint):
    """Keeps ``<run>/checkpoints/last.ckpt`` and ``best.ckpt``; a reader never sees half a file.

    The last one is written by time, by steps, at the end, and after the current batch on SIGTERM. Weights
    that are not finite stop the run instead.

    Args:
        every_minutes: time between two checkpoints; 0 for none by time. The clock is checked every
            ``trainer.log_every_n_steps``.
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
        if self.every_minutes and not due and step % trainer.log_every_n_steps == 0:
            late = time.monotonic() - self._saved_time >= 60 * self.every_minutes
            due = trainer.strategy.broadcast(late)  # clocks differ between ranks
        if due:
            self._save_last(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.state.fn != "fit" or not self.monitor:
            return
        if self.monitor not in trainer.callback_metrics:
            logged = sorted(name for name in trainer.callback_metrics if name.startswith("val/"))
            near = get_close_matches(self.monitor, logged, cutoff=0.8)
            hint = f"did you mean {' or '.join(near)}?" if near else f"validation logs {', '.join(logged)}"
            raise ValueError(f"checkpoints.monitor {self.monitor} is not logged; {hint}")
        if trainer.sanity_checking:
            return
        value = trainer.callback_metrics[self.monitor].item()
        if value < self.best:
            self.best = value
            _save(trainer, "best.ckpt")

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

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Uncount the batches of a step that has only begun: gradients aren't saved, so it starts again.

        (Only LeCAM's running means then see these batches twice.)
        """
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        begun = batches["current"]["ready"] % trainer.accumulate_grad_batches
        if not begun or batches["is_last_batch"]:  # an epoch's last step takes what is left
            return
        for counts in (batches["current"], batches["total"]):
            counts.update({name: count - begun for name, count in counts.items()})
        if trainer.datamodule is not None:
            checkpoint[type(trainer.datamodule).__qualname__]["batches"] -= begun

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]

    def _save_last(self, trainer: L.Trainer) -> None:
        _save(trainer, "last.ckpt")
        self._saved_step, self._saved_time = trainer.global_step, time.monotonic()


def _save(trainer: L.Trainer, name: str) -> None:
    """Write next to the old checkpoint, then replace it."""
    if trainer.fast_dev_run:
        return
    run = trainer.default_root_dir
    _check_finite(trainer.lightning_module, trainer.global_step, last_checkpoint(run))
    path = Path(run) / "checkpoints" / name
    written = path.with_suffix(".writing")
    if trainer.is_global_zero:
        remove(written)  # of a process that was killed
    trainer.strategy.barrier()
    trainer.save_checkpoint(written)
    if trainer.is_global_zero:
        replace_checkpoint(path, written)
    trainer.strategy.barrier()


def _check_finite(pl_module: L.LightningModule, step: int, last: Path) -> None:
    """Refuse to save weights, or state of the losses, that aren't finite on some rank."""
    tensors = {name: local(x) for name, x in pl_module.state_dict().items() if x.is_floating_point()}
    finite_N = torch.stack([tensor.isfinite().all() for tensor in tensors.values()]).float()
    shares = all_reduce_mean(finite_N).tolist()
    broken = [name for name, share in zip(tensors, shares, strict=True) if share < 1]
    if broken:
        before = f"the last good checkpoint is {last}" if last.exists() else "there is no checkpoint before"
        raise ValueError(
            f"{broken[0]} is not finite at step {step}, so nothing was saved; {before}; start anew with a "
            "lower model.optimizer.lr or model.optimizer.grad_clip"
        )
