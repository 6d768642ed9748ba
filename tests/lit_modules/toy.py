"""The smallest module that the callbacks can serve."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from torch import Tensor, nn
from torch.utils.data import DataLoader

from infinity.schedules import Resolution
from infinity.types import ImageTextBatch, LossTerms
from lit_modules.base import SuiteModule
from lit_modules.optim import OptimizerConfig, build_optimizer

__all__ = ["Toy", "batches", "loader", "trainer"]


class Toy(SuiteModule):
    """Learns a linear map of pixels."""

    def __init__(self, **optimizer: object) -> None:
        super().__init__(optimizer=OptimizerConfig(**{"lr": 0.1, **optimizer}), seed=0)
        self.configs = {"optimizer": self.optimizer_config}
        self.resolution = Resolution(stride=1, sides=(1, 2))
        self.net = nn.Linear(12, 1)
        self.draws: list[float] = []

    def configure_optimizers(self) -> dict:
        groups = [{"name": "net", "params": list(self.net.parameters()), "weight_decay": 0.0}]
        return self.with_schedule(build_optimizer(groups, self.optimizer_config))

    def training_step(self, batch: ImageTextBatch, batch_idx: int) -> Tensor:
        share = self.randomness("train", len(batch.captions), batch_idx)
        self.draws.append(torch.rand((), generator=share.generator).item())
        terms = self._loss(batch)
        self.log_terms("train", terms, len(batch.captions))
        return terms.total

    def validation_step(self, batch: ImageTextBatch, batch_idx: int) -> None:
        self.log_terms("val", self._loss(batch), len(batch.captions))

    def _loss(self, batch: ImageTextBatch) -> LossTerms:
        total = (self.net(batch.images_B3HW.flatten(1)) - 1).square().mean()
        return LossTerms(total, {"l2": total.detach()})

    def training_flops(self, batch: ImageTextBatch) -> int:
        return 1000 * len(batch.captions)

    def preview(self, batch: ImageTextBatch) -> list[Tensor]:
        return [batch.images_B3HW, torch.zeros_like(batch.images_B3HW)]


def batches(count: int, size: int = 2) -> DataLoader[ImageTextBatch]:
    """The same few batches, always."""
    generator = torch.Generator().manual_seed(0)
    names = [str(i) for i in range(size)]
    images = torch.rand(count, size, 3, 2, 2, generator=generator)
    return loader([ImageTextBatch(batch, names, names, 1.0) for batch in images])


def loader(batches: list[ImageTextBatch]) -> DataLoader[ImageTextBatch]:
    return DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch)


def trainer(run: object, *callbacks: L.Callback, **options: object) -> L.Trainer:
    """A quiet trainer on the CPU."""
    settings = {"max_steps": 4, "log_every_n_steps": 1, "logger": False}
    for setting, kind in {"enable_checkpointing": Checkpoint, "enable_progress_bar": ProgressBar}.items():
        settings[setting] = any(isinstance(callback, kind) for callback in callbacks)
    return L.Trainer(
        accelerator="cpu",
        devices=1,
        default_root_dir=run,
        callbacks=list(callbacks),
        enable_model_summary=False,
        **{**settings, **options},
    )
