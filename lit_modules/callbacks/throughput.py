"""How fast training is, absolutely and as a share of what the machine's matrix multiplication allows."""

from __future__ import annotations

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from infinity.types import ImageTextBatch

__all__ = ["Throughput", "matmul_flops_per_second"]


class Throughput(Callback):
    """Logs ``perf/images_per_s``, ``perf/tokens_per_s`` and ``perf/matmul_share``, over all ranks.

    The share compares the floating-point operations of the trained network (forward and backward, without
    what activation checkpointing repeats and without frozen networks) with the rate of a large matrix
    multiplication in the same precision, measured once at the start. Waiting for data counts, validation
    doesn't.
    """

    def __init__(self) -> None:
        self._matmul_rate = 0.0
        self._logged_step = 0
        self._reset()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        dtype = torch.bfloat16 if "bf16" in str(trainer.precision) else torch.float32
        self._matmul_rate = matmul_flops_per_second(pl_module.device, dtype)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._logged_step = trainer.global_step
        self._reset()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._paused_at = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._start += time.monotonic() - self._paused_at

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: ImageTextBatch,
        batch_idx: int,
    ) -> None:
        self._num_images += len(batch.captions)
        self._num_tokens += len(batch.captions) * pl_module.resolution.schedule(batch.aspect_ratio).seq_len
        self._num_flops += pl_module.training_flops(batch)
        due = trainer.global_step % trainer.log_every_n_steps == 0
        if due and trainer.global_step != self._logged_step:  # not again in the batches that only accumulate
            self._logged_step = trainer.global_step
            seconds = time.monotonic() - self._start
            rate = trainer.world_size / seconds
            pl_module.log("perf/images_per_s", self._num_images * rate)
            pl_module.log("perf/tokens_per_s", self._num_tokens * rate)
            pl_module.log("perf/matmul_share", self._num_flops / seconds / self._matmul_rate)
            self._reset()

    def _reset(self) -> None:
        self._start = time.monotonic()
        self._num_images = self._num_tokens = self._num_flops = 0


def matmul_flops_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Measured rate of square matrix multiplications: the best of a few."""
    size = 8192 if device.type == "cuda" else 1024
    matrix = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        product = matrix @ matrix
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best
