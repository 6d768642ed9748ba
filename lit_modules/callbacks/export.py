"""Writes the trained network for use."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from infinity.checkpoints.io import save_pretrained
from lit_modules.callbacks.ema import averaged_weights

__all__ = ["Export"]

logger = logging.getLogger(__name__)


class Export(Callback):
    """At the end of training, writes ``module.net`` with its averaged weights to ``<run>/export``."""

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with averaged_weights(trainer, pl_module):
            if trainer.is_global_zero:
                directory = Path(trainer.default_root_dir) / "export"
                save_pretrained(directory, pl_module.net, extra=pl_module.export_extra())
                logger.info("exported to %s", directory)
