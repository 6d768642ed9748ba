"""Rewritten prompts, remembered in a file."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infinity.rewriting.rewriters import PromptRewriter

__all__ = ["CachedRewriter"]

_VERSION = 1  # of the cache file
_ROW = {"prompt", "rewritten"}
_AT_ONCE = 16  # prompts that a stop may lose


class CachedRewriter:
    """Remembers what a rewriter made of a prompt, in a file of JSON lines under the rewriter's fingerprint.

    The first line is ``{"version": .., "fingerprint": ..}``, the others ``{"prompt": .., "rewritten": ..}``.
    Lines are appended whole; one that a power cut tore is dropped, and its prompt is rewritten again.

    Args:
        path: of the file; None to remember in memory only.
    """

    def __init__(self, rewriter: PromptRewriter, path: str | Path | None = None) -> None:
        self._rewriter = rewriter
        self._path = None if path is None else Path(path)
        self._rewritten = {} if self._path is None else self._read(self._path)

    @property
    def fingerprint(self) -> str:
        return self._rewriter.fingerprint

    def rewrite(self, prompts: Sequence[str]) -> list[str]:
        """New prompts; the rewriter is asked only for those that it was not asked for before."""
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rewritten]
        for start in range(0, len(missing), _AT_ONCE):
            asked = missing[start : start + _AT_ONCE]
            answers = self._rewriter.rewrite(asked)
            _check_answers(asked, answers)
            pairs = list(zip(asked, answers, strict=True))
            if self._path is not None:
                rows = [{"prompt": prompt, "rewritten": answer} for prompt, answer in pairs]
                _append(self._path, _lines(rows))
            self._rewritten.update(pairs)
        return [self._rewritten[prompt] for prompt in prompts]

    def _read(self, path: Path) -> dict[str, str]:
        """What the file remembers; it is begun if there is none, or if a stop tore its first line."""
        header = {"version": _VERSION, "fingerprint": self.fingerprint}
        content = path.read_bytes() if path.exists() else b""
        first_line = _lines([header])
        if first_line.startswith(content):
            path.parent.mkdir(parents=True, exist_ok=True)
            _append(path, first_line[len(content) :])
            return {}
        whole, _, torn = content.rpartition(b"\n")
        lines = whole.decode(errors="replace").splitlines()
        found = _read_object(lines[0]) if lines else {}
        if found != header:
            raise ValueError(
                f"{path} is no cache of this rewriter: expected version {_VERSION} and fingerprint "
                f"{self.fingerprint}, found {found.get('version')} and {found.get('fingerprint')}; name "
                "another file"
            )
        if torn:
            os.truncate(path, len(whole) + 1)
        rows = map(_read_object, lines[1:])
        return {row["prompt"]: row["rewritten"] for row in rows if row.keys() == _ROW}


def _lines(rows: Sequence[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _append(path: Path, lines: bytes) -> None:
    with open(path, "ab", buffering=0) as file:
        file.write(lines)
        os.fsync(file.fileno())


def _check_answers(prompts: list[str], answers: Any) -> None:
    if not isinstance(answers, list) or len(answers) != len(prompts):
        got = f"{len(answers)} of them" if isinstance(answers, list) else type(answers).__name__
        raise ValueError(
            f"a rewriter must return a list with one text per prompt ({len(prompts)}), got {got}"
        )
    for prompt, answer in zip(prompts, answers, strict=True):
        if not isinstance(answer, str) or not answer.strip():
            raise ValueError(
                f"the rewriter made {answer!r} of the prompt {prompt!r}; expected a text that is not empty"
            )


def _read_object(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
