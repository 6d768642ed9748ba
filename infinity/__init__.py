"""The pure PyTorch core of the Infinity suite: tokenizer, transformer, self-correction and sampler."""

from __future__ import annotations

from infinity.cpu_memory import keep_freed_memory

keep_freed_memory()
