"""Reading and writing checkpoints, ours and the official ones."""

from __future__ import annotations
