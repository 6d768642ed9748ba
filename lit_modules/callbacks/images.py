"""Pictures of what a model can do during training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torchvision.utils import make_grid, save_image

from infinity.types import ImageTextBatch
from lit_modules.sharding import is_sharded

__all__ = ["Images"]


class Images(Callback):
    """After validations, draws ``module.preview`` of the first validation batch: TensorBoard and
    ``<run>/images``. Not while the network is in shards, as one rank draws alone.

    Args:
        every_n_validations: how often; 0 for never.
        num_images: rows of the picture.
    """

    def __init__(self, every_n_validations: int = 1, num_images: int = 8) -> None:
        if every_n_validations < 0 or num_images < 1:
            raise ValueError(
                "images.every_n_validations must not be negative and images.num_images at least 1, "
                f"got {every_n_validations} and {num_images}"
            )
        self.every_n_validations = every_n_validations
        self.num_images = num_images
        self.num_validations = 0
        self._batch: ImageTextBatch | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: ImageTextBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if batch_idx == 0:
            rows = slice(self.num_images)
            images = batch.images_B3HW[rows]
            self._batch = ImageTextBatch(images, batch.captions[rows], batch.keys[rows], batch.aspect_ratio)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.sanity_checking or not self.every_n_validations or self._batch is None:
            return
        if is_sharded(trainer):
            return
        if self.num_validations % self.every_n_validations == 0 and trainer.is_global_zero:
            columns = pl_module.preview(self._batch)
            rows = torch.stack(columns, dim=1).flatten(0, 1).float().cpu() / 2 + 0.5
            grid = make_grid(rows.clamp(0, 1), nrow=len(columns), padding=2, pad_value=1.0)
            directory = Path(trainer.default_root_dir) / "images"
            directory.mkdir(parents=True, exist_ok=True)
            save_image(grid, directory / f"step_{pl_module.num_steps:07}.png")
            for logger in trainer.loggers:
                if isinstance(logger, TensorBoardLogger):
                    logger.experiment.add_image("val/preview", grid, pl_module.num_steps)
        self.num_validations += 1

    def state_dict(self) -> dict[str, Any]:
        return {"num_validations": self.num_validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.num_validations = state_dict["num_validations"]
