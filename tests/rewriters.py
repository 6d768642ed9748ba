"""Rewriters of prompts that need no language model, for ``--rewriter tests.rewriters:at_sea``."""

from __future__ import annotations

__all__ = ["at_sea"]


def at_sea(prompts: list[str]) -> list[str]:
    """The same prompts, at sea."""
    return [f"{prompt} at sea" for prompt in prompts]
