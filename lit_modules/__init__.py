"""Training with PyTorch Lightning: modules, callbacks, and the command ``python -m lit_modules``."""

from __future__ import annotations
