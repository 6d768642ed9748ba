"""What happens around training steps: averaging, pictures, benchmarks, throughput, progress, export,
checkpoints."""

from __future__ import annotations

from lit_modules.callbacks.checkpoints import Checkpoints
from lit_modules.callbacks.ema import EMA, averaged_weights
from lit_modules.callbacks.evaluation import Evaluation
from lit_modules.callbacks.export import Export
from lit_modules.callbacks.images import Images
from lit_modules.callbacks.progress import ProgressLine
from lit_modules.callbacks.throughput import Throughput

__all__ = [
    "EMA",
    "Checkpoints",
    "Evaluation",
    "Export",
    "Images",
    "ProgressLine",
    "Throughput",
    "averaged_weights",
]
