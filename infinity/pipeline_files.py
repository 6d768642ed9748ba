"""A saved pipeline: a directory with ``vae/`` and ``transformer/``.

The transformer's ``config.json`` also records the text encoder, the resolutions, the sampling settings, and
which tokenizer and text encoder it was trained with.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from infinity.checkpoints.io import load_infinity, load_vae, save_pretrained, weights_sha256
from infinity.configs import config_from_dict, config_to_dict
from infinity.sampling.config import SamplingConfig
from infinity.schedules import Resolution
from infinity.text import TextEncoderConfig
from infinity.transformer.model import Infinity
from infinity.vae.model import VAE

__all__ = ["PipelineParts", "check_fit", "load_parts", "save_parts"]


class PipelineParts(NamedTuple):
    """What a pipeline is made of, and what else its directory records."""

    vae: VAE
    transformer: Infinity
    text: TextEncoderConfig
    resolution: Resolution
    sampling: SamplingConfig
    text_fingerprint: str | None  # of the encoder in training; older directories don't say
    extra: dict[str, Any]


def check_fit(vae: VAE, transformer: Infinity, resolution: Resolution) -> None:
    """Refuse parts that cannot have been trained for each other."""
    if vae.config.token_bits != transformer.config.token_bits:
        raise ValueError(
            f"the tokenizer has {vae.config.token_bits} bits per token and the transformer predicts "
            f"{transformer.config.token_bits}; take the tokenizer that the transformer was trained with"
        )
    if vae.config.token_stride != resolution.stride:
        raise ValueError(
            f"the tokenizer makes one token of {vae.config.token_stride} pixels per side but the "
            f"resolution has stride {resolution.stride}; take the tokenizer of the transformer's training"
        )


def load_parts(directory: Path) -> PipelineParts:
    """Read a saved pipeline; refuse one whose tokenizer is not the recorded one."""
    if not (directory / "transformer").is_dir() or not (directory / "vae").is_dir():
        raise FileNotFoundError(
            f"{directory} is no saved pipeline: expected the folders vae/ and transformer/ in it"
        )
    transformer, recorded = load_infinity(directory / "transformer")
    extra = dict(recorded)
    if missing := sorted({"text", "resolution", "sampling"} - extra.keys()):
        raise ValueError(
            f"{directory / 'transformer' / 'config.json'} does not say {', '.join(missing)}: it was not "
            "written by InfinityPipeline.save_pretrained; export the model again"
        )
    expected = extra.pop("vae_sha256", None)
    hashes = (weights_sha256, _file_sha256)
    if expected is not None and all(expected != sha256(directory / "vae") for sha256 in hashes):
        raise ValueError(
            f"{directory / 'vae'} is not the tokenizer that the transformer beside it was trained with; "
            "copy both from one export"
        )
    return PipelineParts(
        load_vae(directory / "vae"),
        transformer,
        config_from_dict(TextEncoderConfig, extra.pop("text")),
        config_from_dict(Resolution, extra.pop("resolution")),
        config_from_dict(SamplingConfig, extra.pop("sampling")),
        extra.pop("text_fingerprint", None),
        extra,
    )


def save_parts(directory: Path, parts: PipelineParts) -> None:
    """Write a pipeline; the transformer comes last, as it records the tokenizer's hash."""
    save_pretrained(directory / "vae", parts.vae)
    configs = {"text": parts.text, "resolution": parts.resolution, "sampling": parts.sampling}
    extra = parts.extra | {name: config_to_dict(config) for name, config in configs.items()}
    extra["vae_sha256"] = weights_sha256(directory / "vae")
    extra["text_fingerprint"] = parts.text_fingerprint
    save_pretrained(directory / "transformer", parts.transformer, extra=extra)


def _file_sha256(directory: Path) -> str | None:
    """What older versions, which wrote no shards, recorded of a model."""
    if not (directory / "model.safetensors").is_file():
        return None
    with open(directory / "model.safetensors", "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
