"""Trained models as directories: ``config.json`` says what a model is, ``model.safetensors`` its weights.

Weights of more than `max_shard_size` bytes are cut into ``model-00001-of-0000N.safetensors`` with an index,
as Hugging Face's libraries do. ``config.json`` and the header of every weights file hold a hash of all
weights, so that files of two saves are never taken for one model; comparing the hashes costs nothing, however
large the model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from infinity.atomic import replacing
from infinity.checkpoints.folders import describe_folder
from infinity.checkpoints.keymap import describe_differences
from infinity.checkpoints.shards import INDEX, WEIGHTS, read_index, split_into_shards
from infinity.configs import config_from_dict, config_to_dict
from infinity.json_files import read_json_object, write_json
from infinity.transformer.config import InfinityConfig
from infinity.transformer.model import Infinity
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = [
    "Pretrained",
    "hash_weights",
    "load_infinity",
    "load_vae",
    "read_config",
    "save_pretrained",
    "weights_sha256",
]

_VERSION = 1
_CONFIG = "config.json"
_HASH = "weights_sha256"
_MAX_SHARD_SIZE = 5 * 10**9

_KINDS: dict[str, tuple[type, type]] = {"vae": (VAE, VAEConfig), "transformer": (Infinity, InfinityConfig)}

M = TypeVar("M", VAE, Infinity)


class Pretrained(NamedTuple):
    """A transformer and what its training recorded about its surroundings."""

    model: Infinity
    extra: dict[str, Any]


def save_pretrained(
    directory: str | Path,
    model: VAE | Infinity,
    *,
    extra: dict[str, Any] | None = None,
    max_shard_size: int = _MAX_SHARD_SIZE,
) -> None:
    """Write a model, each of its files atomically.

    Args:
        extra: JSON values to keep beside the config, e.g. the text encoder of a transformer.
        max_shard_size: bytes of a weights file; a single tensor may exceed it.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    content: dict[str, Any] = {
        "kind": next(kind for kind, (cls, _) in _KINDS.items() if isinstance(model, cls)),
        "version": _VERSION,
        _HASH: hash_weights(weights),
        "config": config_to_dict(model.config),
        "extra": extra or {},
    }
    header = {"format": "pt", _HASH: content[_HASH]}
    shards = split_into_shards(weights, max_shard_size)
    with ExitStack() as stack:  # no file replaces an old one before all are written
        for name, keys in shards.items():
            temporary = stack.enter_context(replacing(directory / name))
            temporary.touch()
            mode = temporary.stat().st_mode
            save_file({key: weights[key] for key in keys}, temporary, header)
            temporary.chmod(mode)  # safetensors lets nobody else read its files, whatever the umask
    if len(shards) > 1:
        size = sum(tensor.nbytes for tensor in weights.values())
        files = {key: name for name, keys in shards.items() for key in keys}
        write_json(directory / INDEX, {"metadata": {"total_size": size}, "weight_map": files})
    write_json(directory / _CONFIG, content)
    _remove_other_weights(directory, shards)


def load_vae(directory: str | Path) -> VAE:
    """Load a tokenizer, in evaluation mode on the CPU."""
    return _load(Path(directory), "vae", VAE)[0]


def load_infinity(directory: str | Path) -> Pretrained:
    """Load a transformer, in evaluation mode on the CPU."""
    return Pretrained(*_load(Path(directory), "transformer", Infinity))


def read_config(directory: str | Path, kind: str) -> tuple[Any, dict[str, Any]]:
    """What a saved "vae" or "transformer" is, without its weights: its config and what was kept beside it."""
    content = _read_content(Path(directory), kind)
    return config_from_dict(_KINDS[kind][1], content["config"]), content["extra"]


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, types, shapes and values: the same for the same weights, however they are stored."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def weights_sha256(directory: str | Path) -> str:
    """The :func:`hash_weights` of a saved model, which names the model in records of provenance."""
    directory = Path(directory)
    files = _weights_files(directory)
    return _read_json(directory).get(_HASH) or hash_weights(_read_weights(files))


def _remove_other_weights(directory: Path, shards: Mapping[str, list[str]]) -> None:
    """Remove what an earlier save, cut into other shards, has left."""
    for path in directory.glob("model*.safetensors"):
        if path.name not in shards:
            path.unlink()
    if len(shards) == 1:
        (directory / INDEX).unlink(missing_ok=True)


def _load(directory: Path, kind: str, cls: type[M]) -> tuple[M, dict[str, Any]]:
    config, extra = read_config(directory, kind)
    with torch.device("meta"):  # no time lost on initial values that the file replaces
        model = cls(config)
    weights = _read_weights(_weights_files(directory))
    if differences := describe_differences(weights, model.state_dict()):
        raise ValueError(f"the weights in {directory} do not fit its {_CONFIG}: {differences}")
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False), extra


def _read_content(directory: Path, kind: str) -> dict[str, Any]:
    """What ``config.json`` says, checked to describe a model of the expected kind."""
    content = _read_json(directory)
    if (found := content.get("kind")) != kind:
        held = describe_folder(directory) or f"a model of kind {found!r}"
        raise ValueError(f"{directory} holds {held}, expected a {kind}")
    version = content.get("version")
    if not isinstance(version, int) or not isinstance(content.get("config"), dict):
        raise ValueError(
            f"{directory / _CONFIG} has no 'version' or no 'config': expected what saving a {kind} wrote; "
            "export the model again"
        )
    if version > _VERSION:
        raise ValueError(
            f"{directory} has format version {version}, this package reads up to {_VERSION}; upgrade it"
        )
    return {"extra": {}, **content}


def _read_json(directory: Path) -> dict[str, Any]:
    if not (directory / _CONFIG).is_file():
        raise FileNotFoundError(
            f"{directory} holds no {_CONFIG}: expected the directory of a saved model "
            f"({_CONFIG} and {WEIGHTS})"
        )
    return read_json_object(directory / _CONFIG)


def _weights_files(directory: Path) -> list[Path]:
    """The weights files, all there and all of the save that wrote ``config.json``."""
    recorded = _read_json(directory).get(_HASH)  # older formats have none
    names = read_index(directory / INDEX).keys() if (directory / INDEX).is_file() else [WEIGHTS]
    files = [directory / name for name in names]
    if missing := [file.name for file in files if not file.is_file()]:
        raise FileNotFoundError(f"{directory} holds no {', '.join(missing)}; copy the whole directory again")
    for file in files:
        try:
            with safe_open(file, "pt") as opened:
                found = (opened.metadata() or {}).get(_HASH)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{file} is damaged or truncated ({error}); copy it again") from error
        if recorded is not None and found != recorded:
            raise ValueError(
                f"{file} and {_CONFIG} beside it come from two saves; copy both from one, or remove "
                f"{_HASH!r} from {_CONFIG} if the weights were replaced on purpose"
            )
    return files


def _read_weights(files: list[Path]) -> dict[str, Tensor]:
    return {name: tensor for file in files for name, tensor in load_file(file).items()}
