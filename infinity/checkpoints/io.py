"""Trained models as directories: ``config.json`` says what a model is, ``model.safetensors`` its weights."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from infinity.configs import config_from_dict, config_to_dict
from infinity.transformer.config import InfinityConfig
from infinity.transformer.model import Infinity
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = [
    "Pretrained",
    "load_infinity",
    "load_vae",
    "read_config",
    "save_pretrained",
    "weights_sha256",
    "write_json",
]

_VERSION = 1
_WEIGHTS = "model.safetensors"
_KINDS: dict[str, tuple[type, type]] = {"vae": (VAE, VAEConfig), "transformer": (Infinity, InfinityConfig)}

M = TypeVar("M", VAE, Infinity)


class Pretrained(NamedTuple):
    """A transformer and what its training recorded about its surroundings."""

    model: Infinity
    extra: dict[str, Any]


def save_pretrained(
    directory: str | Path, model: VAE | Infinity, *, extra: dict[str, Any] | None = None
) -> None:
    """Write a model, so that a reader never sees half a file (temporary name, flush to disk, rename).

    Args:
        extra: JSON values to keep beside the config, e.g. the text encoder of a transformer.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    kind = next(kind for kind, (cls, _) in _KINDS.items() if isinstance(model, cls))
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    temporary = directory / f".{_WEIGHTS}.{os.getpid()}"
    save_file(weights, temporary, metadata={"format": "pt"})
    _publish(temporary, directory / _WEIGHTS)
    content = {
        "kind": kind,
        "version": _VERSION,
        "config": config_to_dict(model.config),
        "extra": extra or {},
    }
    write_json(directory / "config.json", content)


def load_vae(directory: str | Path) -> VAE:
    """Load a tokenizer, in evaluation mode on the CPU."""
    return _load(Path(directory), "vae", VAE)[0]


def load_infinity(directory: str | Path) -> Pretrained:
    """Load a transformer, in evaluation mode on the CPU."""
    return Pretrained(*_load(Path(directory), "transformer", Infinity))


def read_config(directory: str | Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """What a saved "vae" or "transformer" is, without its weights: its config and what was kept beside it."""
    directory = Path(directory)
    _require(directory, "config.json", kind)
    content = json.loads((directory / "config.json").read_text())
    if content.get("kind") != kind:
        raise ValueError(f"{directory} holds a model of kind {content.get('kind')!r}, expected a {kind}")
    if content["version"] > _VERSION:
        raise ValueError(
            f"{directory} has format version {content['version']}, this package reads up to "
            f"{_VERSION}; upgrade it"
        )
    return config_from_dict(_KINDS[kind][1], content["config"]), content["extra"]


def weights_sha256(directory: str | Path) -> str:
    """Hash of a saved model's weights file, which names the model in records of provenance."""
    with open(Path(directory) / _WEIGHTS, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write JSON in one atomic step."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    _publish(Path(file.name), path)
    path.chmod(0o644)


def _publish(temporary: Path, path: Path) -> None:
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _require(directory: Path, name: str, kind: str) -> None:
    if not (directory / name).is_file():
        raise FileNotFoundError(
            f"{directory} holds no {name}: expected the directory of a saved {kind} "
            f"(config.json and {_WEIGHTS})"
        )


def _load(directory: Path, kind: str, cls: type[M]) -> tuple[M, dict[str, Any]]:
    config, extra = read_config(directory, kind)
    _require(directory, _WEIGHTS, kind)
    with torch.device("meta"):  # no time lost on initial values that the file replaces
        model = cls(config)
    try:
        weights = load_file(directory / _WEIGHTS)
    except SafetensorError as error:
        raise ValueError(
            f"{directory / _WEIGHTS} is damaged or truncated ({error}); copy it again"
        ) from error
    _check_keys(directory, model, weights)
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False), extra


def _check_keys(directory: Path, model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"the weights in {directory} do not fit its config.json: {len(wrong)} tensors differ, "
            f"the first is {first} "
            f"(config: {expected.get(first, 'absent')}, file: {found.get(first, 'absent')})"
        )
