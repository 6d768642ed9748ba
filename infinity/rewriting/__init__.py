"""Longer prompts from short ones, before they are encoded (paper Table 1, the rows marked with a dagger).

A rewriter is off by default. Whatever it is (a local language model, a user's function), it is called through
:class:`CachedRewriter`, so that a prompt is rewritten once, and its fingerprint stands in every result.
"""

from __future__ import annotations

from infinity.rewriting.cache import CachedRewriter
from infinity.rewriting.rewriters import (
    INSTRUCTION,
    FunctionRewriter,
    HuggingFaceRewriter,
    PromptRewriter,
    build_rewriter,
)

__all__ = [
    "INSTRUCTION",
    "CachedRewriter",
    "FunctionRewriter",
    "HuggingFaceRewriter",
    "PromptRewriter",
    "build_rewriter",
]
