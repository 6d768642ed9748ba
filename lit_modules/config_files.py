"""YAML files of runs: mistakes are reported with their file, and a run keeps the config it was given."""

from __future__ import annotations

from argparse import ArgumentError
from typing import Any

import lightning as L
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

__all__ = ["NamingParser", "SaveConfig"]


class NamingParser(LightningArgumentParser):
    """Names the file in which a mistake was found."""

    def parse_path(self, path: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            config = super().parse_path(path, *args, **kwargs)
            self.validate(config, skip_required=True)  # later, all files are merged
            return config
        except (ValueError, TypeError, KeyError, ArgumentError) as error:
            raise ArgumentError(None, f"in {path}: {error}") from error


class SaveConfig(SaveConfigCallback):
    """Writes ``<run>/config.yaml`` once training starts, and for training only."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Too early: the checkpoint to go on from may yet be refused."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().setup(trainer, pl_module, "fit")
