"""``python -m infinity convert``: official weights to a saved model, and back."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import torch

from infinity.atomic import replacing
from infinity.checkpoints.io import load_infinity, load_vae, save_pretrained
from infinity.checkpoints.official import (
    build_transformer,
    build_vae,
    find_official_state,
    official_names,
    official_pixels,
    official_sampling,
    training_options,
)
from infinity.checkpoints.official_ar import export_official_transformer, has_chunks
from infinity.checkpoints.official_vae import export_official_vae
from infinity.checkpoints.torch_files import read_checkpoint
from infinity.configs import config_to_dict
from infinity.json_files import read_json_object
from infinity.rope2d import RopeGrid
from infinity.sampling.config import SamplingConfig
from infinity.schedules import ASPECT_RATIOS, PixelBudget, Resolution
from infinity.text import HuggingFaceTextConfig, TextEncoderConfig
from infinity.transformer.config import InfinityConfig
from infinity.transformer.model import Infinity
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = ["add_arguments", "run"]

_EXAMPLES = r"""examples:
  python -m infinity convert infinity_vae_d32reg.pth models/2b/vae
  python -m infinity convert infinity_2b_reg.pth models/2b/transformer --text-encoder flan-t5-xl
  python -m infinity generate --model models/2b "a cat that holds a sign"
  python -m infinity convert --dry-run ar-ckpt-last.pth models/mine/transformer
  python -m infinity convert --to-official models/2b/transformer infinity_2b.pth
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Recognise official weights (a tokenizer's or transformer's .pth, a folder of shards, a training "
        "checkpoint) and write them as a saved model. With a tokenizer in OUT/vae and a transformer in "
        "OUT/transformer, OUT is a pipeline for the other commands."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("source", type=Path, help="file, or folder of shards with an index")
    parser.add_argument("target", type=Path, help="folder to write, which must be new or empty")
    parser.add_argument("--dry-run", action="store_true", help="recognise and check, but write nothing")
    parser.add_argument(
        "--to-official", action="store_true", help="the way back: SOURCE is a saved model, TARGET a .pth file"
    )
    parser.add_argument("--place", help="which weights of several, e.g. trainer/gpt_ema_fsdp")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="PATTERN", help="leave out weights with such names"
    )
    group = parser.add_argument_group("what the weights of a tokenizer don't tell")
    group.add_argument(
        "--patchify", type=int, choices=(1, 2), help="latent cells per token side (default: 2 with stride 8)"
    )
    group = parser.add_argument_group("what the weights of a transformer don't tell")
    group.add_argument(
        "--rope-grid",
        choices=get_args(RopeGrid),
        help="default: what a training checkpoint says, or reference",
    )
    group.add_argument(
        "--scale-embedding",
        choices=("first_block", "every_chunk"),
        help="where it is added (default: what a training checkpoint says, or first_block)",
    )
    group.add_argument(
        "--text-encoder", default="google/flan-t5-xl", help="directory or hub id (default: %(default)s)"
    )
    group.add_argument(
        "--resolution",
        choices=get_args(PixelBudget),
        help="trained pixels (default: what a training checkpoint says, or 1M; 0.06M for the scaling study)",
    )


def run(options: argparse.Namespace) -> str:
    """Convert, and return what was found."""
    _check_target(options.target)
    facts = _to_official(options) if options.to_official else _from_official(options)
    width = max(map(len, facts))
    outcome = "nothing was written (--dry-run)" if options.dry_run else f"written to {options.target}"
    return "\n".join(
        [str(options.source), *(f"  {name:{width}}  {fact}" for name, fact in facts.items()), outcome]
    )


def _from_official(options: argparse.Namespace) -> dict[str, str]:
    config = options.source / "config.json"
    if config.is_file() and read_json_object(config).get("kind") in ("vae", "transformer"):
        raise ValueError(f"{options.source} is a saved model already; did you mean --to-official?")
    content = read_checkpoint(options.source)
    found = find_official_state(content, options.source, place=options.place, ignore=tuple(options.ignore))
    told = {name: value for name, value in training_options(content).items() if not getattr(options, name)}
    options = argparse.Namespace(**vars(options) | told)
    extra: dict[str, Any] = {"official": {"source": options.source.name, "place": found.place}}
    try:
        if found.kind == "vae":
            model = build_vae(found.tensors, patchify=options.patchify)
        else:
            model = build_transformer(
                found.tensors,
                rope_grid=options.rope_grid or "reference",
                scale_embedding=options.scale_embedding or "first_block",
            )
    except ValueError as error:
        raise ValueError(f"{options.source} can't be converted: {error}") from error
    facts = _describe(model)
    facts["found at"] = found.place or "the top of the file"
    if found.other_places:
        facts["also in it"] = f"{', '.join(found.other_places)} (--place)"
    if isinstance(model, Infinity):
        chunked = extra["official"]["chunked"] = has_chunks(found.tensors)
        facts["layout"] = f"block_chunks, {model.config.num_chunks} of them" if chunked else "blocks"
        surroundings = _surroundings(model, options)
        extra |= {name: config_to_dict(config) for name, config in surroundings.items()}
        facts |= _assumptions(model.config, told, **surroundings)
    if not options.dry_run:
        _write(options.target, lambda temporary: save_pretrained(temporary, model, extra=extra))
    return facts


def _to_official(options: argparse.Namespace) -> dict[str, str]:
    if options.target.suffix != ".pth":
        raise ValueError(f"--to-official writes one file that ends with .pth, got {options.target}")
    if read_json_object(options.source / "config.json").get("kind") == "vae":
        model = load_vae(options.source)
        state = {"vae": export_official_vae(model.state_dict(), model.config)}
    else:
        model, extra = load_infinity(options.source)
        chunked = extra.get("official", {}).get("chunked", model.config.num_chunks > 1)
        state = export_official_transformer(model.state_dict(), model.config, chunked=chunked)
    if not options.dry_run:
        _write(options.target, lambda temporary: torch.save(state, temporary))
    return _describe(model)


def _surroundings(model: Infinity, options: argparse.Namespace) -> dict[str, Any]:
    """What a pipeline needs besides the weights of a transformer."""
    config, folder = model.config, Path(options.text_encoder)
    name = str(folder.resolve()) if folder.is_dir() else options.text_encoder
    encoder = HuggingFaceTextConfig(model=name, max_len=config.text_max_len)
    return {
        "text": TextEncoderConfig(kind="huggingface", huggingface=encoder),
        "resolution": Resolution(
            stride=16,
            pixels=options.resolution or official_pixels(config),
            aspect_ratios=(1.0, *(ratio for ratio in ASPECT_RATIOS if ratio != 1.0)),
        ),
        "sampling": official_sampling(config),
    }


def _assumptions(
    config: InfinityConfig,
    told: dict[str, str],
    text: TextEncoderConfig,
    resolution: Resolution,
    sampling: SamplingConfig,
) -> dict[str, str]:
    """What no weight tells, with the option to say otherwise."""

    def fact(value: str, option: str) -> str:
        origin = "told by the training run" if option in told else "not told by weights"
        return f"{value} ({origin}: --{option.replace('_', '-')})"

    settings = f"guidance {sampling.guidance}, temperature {sampling.temperature}, top-p {sampling.top_p}"
    return {
        "RoPE grid": fact(config.rope_grid, "rope_grid"),
        "scale embedding": fact(config.scale_embedding, "scale_embedding"),
        "resolution": fact(resolution.pixels, "resolution"),
        "text encoder": fact(text.huggingface.model, "text_encoder"),
        "sampling": f"{settings} (can be changed whenever images are drawn)",
    }


def _describe(model: VAE | Infinity) -> dict[str, str]:
    facts = _describe_vae(model.config) if isinstance(model, VAE) else _describe_transformer(model.config)
    types = sorted({str(parameter.dtype).removeprefix("torch.") for parameter in model.parameters()})
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    names = " or ".join(official_names(model.config)) or "of no published size"
    kind = "tokenizer" if isinstance(model, VAE) else "transformer"
    return {"model": f"{kind}, {names}", "parameters": f"{size:.1f}M, {' and '.join(types)}", **facts}


def _describe_vae(config: VAEConfig) -> dict[str, str]:
    multipliers = {
        coder: "-".join(map(str, getattr(config, f"{coder}_multipliers"))) for coder in ("encoder", "decoder")
    }
    return {
        "channels": f"{config.base_channels} x {multipliers['encoder']}, decoder {multipliers['decoder']}",
        "bits": f"{config.num_bits} per cell, {config.token_bits} per token",
        "stride": f"{config.stride} pixels per cell, {config.token_stride} per token",
    }


def _describe_transformer(config: InfinityConfig) -> dict[str, str]:
    return {
        "size": f"depth {config.depth}, width {config.width}, {config.num_heads} heads",
        "bits": f"{config.token_bits} per token",
        "text": f"at most {config.text_max_len} states of width {config.text_width}",
    }


def _check_target(target: Path) -> None:
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise FileExistsError(f"{target} exists already and nothing is overwritten; choose another target")


def _write(target: Path, write: Callable[[Path], None]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        write(temporary)
