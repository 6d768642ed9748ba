"""Models by name: a local directory, or an id of the Hugging Face hub."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["model_directory"]

_FILES = [f"{part}/*.{ending}" for part in ("vae", "transformer") for ending in ("json", "safetensors")]


def model_directory(model: str | Path) -> Path:
    """The directory of a saved pipeline.

    A text of the form owner/name that is no directory is looked up on the Hugging Face hub and kept in its
    cache (``HF_HOME``); ``HF_HUB_OFFLINE=1`` reads the cache only. Nothing else uses the network.
    """
    if Path(model).is_dir():
        return Path(model)
    if not isinstance(model, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[\w.-]+", model):
        raise FileNotFoundError(
            f"there is no directory {model}: expected a saved pipeline, or a hub id of the form owner/name"
        )
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ValueError(
            f"there is no directory {model}, and fetching it from the Hugging Face hub needs the package "
            "huggingface_hub: pip install 'infinity-suite[hf]'"
        ) from error
    try:
        return Path(snapshot_download(model, allow_patterns=_FILES))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise FileNotFoundError(
            f"there is no directory {model}, and the Hugging Face hub has no such model ({reason})"
        ) from error
