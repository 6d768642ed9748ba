"""Writes the trained network for use."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import Callback

from lit_modules.base import SuiteModule
from lit_modules.callbacks.ema import averaged_weights
from lit_modules.sharding import whole

__all__ = ["Export"]

logger = logging.getLogger(__name__)


class Export(Callback):
    """Exports the averaged weights to ``<run>/export`` when all else is saved, even if no step was left."""

    def on_fit_end(self, trainer: L.Trainer, pl_module: SuiteModule) -> None:  # type: ignore[override]
        with averaged_weights(trainer, pl_module):
            net = whole(pl_module.net)
            if trainer.is_global_zero:
                directory = Path(trainer.default_root_dir) / "export"
                pl_module.export(directory, net)
                logger.info("exported to %s", directory)
