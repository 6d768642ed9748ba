"""One line that says how far training is, in a terminal or in a log file."""

from __future__ import annotations

import sys
import time
from collections import deque
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar

from lit_modules.base import SuiteModule, time_limit

__all__ = ["ProgressLine"]

_WINDOW = 20


class ProgressLine(ProgressBar):
    """Step, epoch, loss, speed and time left, on standard error.

    A terminal has one line that changes; anything else gets a new line every `log_seconds`.

    Args:
        log_seconds: seconds between two lines where the output is no terminal.
    """

    def __init__(self, log_seconds: float = 10.0) -> None:
        super().__init__()
        self.log_seconds = log_seconds
        self._enabled = True
        self._times: deque[tuple[int, float]] = deque(maxlen=_WINDOW)
        self._shown = 0.0

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def on_train_start(self, trainer: L.Trainer, pl_module: SuiteModule) -> None:
        self._times.clear()
        self._times.append((trainer.global_step, time.monotonic()))

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: SuiteModule, *_: Any) -> None:
        if not self._times or trainer.global_step != self._times[-1][0]:  # a step may take many batches
            self._times.append((trainer.global_step, time.monotonic()))
        self._show(self._line(trainer, pl_module))

    def on_validation_start(self, trainer: L.Trainer, pl_module: SuiteModule) -> None:
        if not trainer.sanity_checking:
            self._show(f"step {pl_module.num_steps}: validating")

    def on_validation_end(self, trainer: L.Trainer, pl_module: SuiteModule) -> None:
        if not trainer.sanity_checking and "val" in pl_module.last_losses:
            self._show(f"step {pl_module.num_steps}: val/loss {pl_module.last_losses['val']:.4f}", last=True)
        self._times.clear()  # validation is no part of the training speed

    def on_train_end(self, trainer: L.Trainer, pl_module: SuiteModule) -> None:
        self._show(self._line(trainer, pl_module), last=True)

    def _line(self, trainer: L.Trainer, pl_module: SuiteModule) -> str:
        parts = [f"step {trainer.global_step}" + (f"/{trainer.max_steps}" if trainer.max_steps > 0 else "")]
        parts.append(f"epoch {trainer.current_epoch}")
        if "train" in pl_module.last_losses:
            parts.append(f"loss {pl_module.last_losses['train']:.4f}")
        speed = self._steps_per_second()
        if speed:
            parts.append(f"{speed:.2f} steps/s")
        left = self._seconds_left(trainer, speed)
        if left is not None:
            parts.append(f"{timedelta(seconds=round(max(0.0, left)))} left")
        return "  ".join(parts)

    def _steps_per_second(self) -> float:
        if len(self._times) < 2:
            return 0.0
        (first_step, first), (last_step, last) = self._times[0], self._times[-1]
        return (last_step - first_step) / max(1e-9, last - first)

    def _seconds_left(self, trainer: L.Trainer, speed: float) -> float | None:
        left = []
        timer = time_limit(trainer)
        if timer is not None:
            left.append(timer.time_remaining())
        if trainer.max_steps > 0 and speed:
            left.append((trainer.max_steps - trainer.global_step) / speed)
        return min(left, default=None)

    def _show(self, line: str, *, last: bool = False) -> None:
        if not self._enabled:
            return
        stream, now = sys.stderr, time.monotonic()
        if stream.isatty():
            stream.write(f"\r\033[K{line}" + ("\n" if last else ""))
        elif last or now - self._shown >= self.log_seconds:
            stream.write(line + "\n")
        else:
            return
        self._shown = now
        stream.flush()
