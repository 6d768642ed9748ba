"""Logged metrics as JSON lines: anything can read them, and resumed runs append to them."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers.logger import Logger

__all__ = ["MetricsLog"]


class MetricsLog(Logger):
    """Appends ``{"step": .., name: value, ..}`` to ``<run>/metrics.jsonl``.

    After a resume some steps may be there twice; the later line counts.
    """

    def __init__(self, run: str | Path) -> None:
        super().__init__()
        self.path = Path(run) / "metrics.jsonl"

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's config.yaml has them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")
