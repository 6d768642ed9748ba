"""Files of ours that were damaged: one sentence that names the file and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

__all__ = ["SIGNS_OF_DAMAGE", "naming_damage"]

SIGNS_OF_DAMAGE = (
    *(AttributeError, BadZipFile, EOFError, LookupError),
    *(OverflowError, RecursionError, TypeError, ValueError),
)
"""What readers raise on a file whose content is not what was written."""


@contextmanager
def naming_damage(path: Path, remedy: str) -> Iterator[None]:
    """Turn content that can't be read, or is not what was written, into an error that names the file.

    Args:
        remedy: what to do, as the end of the sentence.
    """
    try:
        yield
    except (*SIGNS_OF_DAMAGE, OSError) as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"{path} is damaged ({cause}); {remedy}") from error
