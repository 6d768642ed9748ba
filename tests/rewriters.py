"""Rewriters of prompts that need no language model, for ``--rewriter tests.rewriters:at_sea``."""

from __future__ import annotations

__all__ = ["at_sea", "stopped"]


def at_sea(prompts: list[str]) -> list[str]:
    """The same prompts, at sea."""
    return [f"{prompt} at sea" for prompt in prompts]


def stopped(prompts: list[str]) -> list[str]:
    """As if Ctrl-C were pressed while prompts are rewritten."""
    raise KeyboardInterrupt
