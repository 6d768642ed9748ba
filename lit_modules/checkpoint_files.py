"""Checkpoints on disk, files or (in shards) folders: find, inspect and replace them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from infinity.atomic import flush, remove

__all__ = ["last_checkpoint", "replace_checkpoint", "saved_config", "starting_point"]

_SHARDED = ("meta.pt", ".metadata")  # files of every checkpoint in shards; the first one has no weights


def last_checkpoint(run: str | Path) -> Path:
    """The checkpoint to resume a run from; the best one, if the run ended before any other was due."""
    path = Path(run) / "checkpoints" / "last.ckpt"
    places = (path, _aside(path), path.with_name("best.ckpt"))
    return next((place for place in places if place.exists()), path)


def starting_point(subcommand: str, run: Path, ckpt_path: str | None) -> Path | None:
    """The checkpoint that ``--ckpt_path`` (a path or "last") means; None to start anew.

    Raises ValueError where training would overwrite what another run left in the directory `run`.
    """
    last, fitting = last_checkpoint(run), subcommand == "fit"
    if not fitting and not ckpt_path:
        raise ValueError(f"{subcommand} needs a trained model; name its --ckpt_path, a file or `last`")
    if ckpt_path == "last" and fitting and not last.exists():
        return None
    path = last if ckpt_path == "last" else Path(ckpt_path) if ckpt_path else None
    if path is not None and not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path} (from --ckpt_path)")
    if fitting and last.exists() and not (path and path.resolve().is_relative_to(run.resolve())):
        raise ValueError(
            f"{run} holds a run already ({last}); go on with it by --ckpt_path last, "
            "or choose another --trainer.default_root_dir"
        )
    return path


def saved_config(path: Path) -> dict[str, Any]:
    """Look up which configuration a checkpoint was trained with, without reading its weights."""
    if path.is_dir() and not all((path / name).is_file() for name in _SHARDED):
        raise ValueError(
            f"{path} is a folder, but no checkpoint in shards ({' and '.join(_SHARDED)} belong in one); "
            "name what `fit` wrote, and exported weights by model.init_from"
        )
    file = path / _SHARDED[0] if path.is_dir() else path
    try:
        content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        cause = error if isinstance(error, OSError) else "it is damaged, cut short or something else"
        raise ValueError(f"can't read {path} as a checkpoint: {cause}; name one that `fit` wrote") from error
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise ValueError(f"{path} was not written by this suite; name a checkpoint that `fit` wrote")
    return config


def replace_checkpoint(path: Path, written: Path) -> None:
    """Put what is written in the place of `path`, so that :func:`last_checkpoint` finds one at all times.

    A file replaces a file in one step. A folder takes two, between which the old one stands aside.
    """
    flush(written)
    aside = _aside(path)
    if path.is_dir() or (path.exists() and written.is_dir()):
        remove(aside)
        os.replace(path, aside)
    os.replace(written, path)
    remove(aside)


def _aside(path: Path) -> Path:
    return path.with_suffix(".old")
