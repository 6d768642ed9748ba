"""``python -m infinity plan``: a model's parameters, operations and memory before it is built."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from rich.console import Console
from rich.table import Table

from infinity.checkpoints.io import read_config
from infinity.configs import config_from_dict
from infinity.planning import Plan, PlanOptions, make_plan, paper_tokenizer
from infinity.planning.options import Precision
from infinity.sampling import SamplingConfig
from infinity.schedules import PixelBudget, Resolution, ScaleSchedule, paper_schedule
from infinity.transformer.config import PRESETS, InfinityConfig
from infinity.vae.config import VAEConfig

__all__ = ["add_arguments", "run", "verdict"]

_EXAMPLES = """examples:
  python -m infinity plan --model 2b --resolution 1024 --strategy fsdp --devices 64 --checkpointing block
  python -m infinity plan --model 125m --bits 16 --head indexwise
  python -m infinity plan --model runs/demo-basic-15/ar/export --batch-size 32 --json
"""
_PIXELS: dict[str, PixelBudget] = {"256": "0.06M", "512": "0.25M", "768": "0.60M", "1024": "1M"}
_STRIDE = 16  # pixels per side of a token, of all tokenizers of the paper
_ROWS = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer states",
    "average": "averaged weights",
    "buffers": "communication buffers",
    "casts": "casts of weights",
    "kv_cache": "KV cache",
    "text_keys_values": "keys and values of text",
    "activations": "activations",
    "logits": "logits and their gradients",
    "tokenizer": "tokenizer",
    "encoding": "encoding (before the step)",
    "decoding": "decoding (afterwards)",
}


class _Subject(NamedTuple):
    """What is planned for."""

    config: InfinityConfig
    vae: VAEConfig
    resolution: Resolution | None  # that a saved model was trained with


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    defaults = PlanOptions()
    parser.description = (
        "Count parameters, floating-point operations per image, and memory by part, in training and drawing."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "--model", required=True, help=f"a size ({', '.join(PRESETS)}) or the directory of a saved model"
    )
    parser.add_argument(
        "--resolution",
        help=f"{', '.join(_PIXELS)} or {', '.join(_PIXELS.values())} (default: the saved model's, or 256)",
    )
    parser.add_argument("--aspect-ratio", type=float, help="height / width, one of the resolution's")
    parser.add_argument("--bits", type=int, help="bits per token of another tokenizer (default: the size's)")
    parser.add_argument("--head", choices=("bitwise", "indexwise"), help="default: the model's")
    parser.add_argument(
        "--batch-size", type=int, default=1, help="images per device, in training and in drawing (default: 1)"
    )
    parser.add_argument("--devices", type=int, default=1, help="devices that train together (default: 1)")
    parser.add_argument(
        "--strategy",
        choices=("single", "ddp", "zero2", "fsdp"),
        help="what devices share (default: single, or ddp for several devices)",
    )
    parser.add_argument(
        "--precision", choices=get_args(Precision), default=defaults.precision, help="default: %(default)s"
    )
    parser.add_argument("--optimizer", choices=("adamw", "muon"), default=defaults.optimizer)
    parser.add_argument("--ema", action="store_true", help="keep an average of the weights")
    parser.add_argument(
        "--checkpointing",
        choices=("none", "block"),
        default=defaults.checkpointing,
        help="keep all activations, or recompute blocks (default: %(default)s)",
    )
    parser.add_argument(
        "--guidance",
        type=float,
        default=3.0,
        help="of drawing; 1 is none and costs half (default: %(default)s)",
    )
    parser.add_argument(
        "--text-length",
        type=int,
        help="tokens of the longest caption (default: the most that the model takes)",
    )
    parser.add_argument(
        "--memory",
        type=float,
        default=80.0,
        help="GB (10^9 bytes) of a device, for the verdict (default: 80)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace) -> str:
    """Plan, as a table or as JSON."""
    subject = _subject(arguments.model)
    config = subject.config
    if arguments.bits is not None:
        config = replace(config, token_bits=arguments.bits)
        subject = subject._replace(vae=paper_tokenizer(arguments.bits))
    if arguments.head is not None:
        config = replace(config, head=arguments.head)
    options = PlanOptions(
        batch_size=arguments.batch_size,
        devices=arguments.devices,
        strategy=arguments.strategy or ("single" if arguments.devices == 1 else "ddp"),
        precision=arguments.precision,
        optimizer=arguments.optimizer,
        ema=arguments.ema,
        checkpointing=arguments.checkpointing,
        guided=SamplingConfig(guidance=arguments.guidance).guidance != 1,
        text_length=config.text_max_len if arguments.text_length is None else arguments.text_length,
    )
    if not arguments.memory > 0:  # nor NaN
        raise ValueError(f"--memory must be positive, got {arguments.memory}")
    schedule = _schedule(subject, arguments.resolution, arguments.aspect_ratio)
    plan = make_plan(config, subject.vae, schedule, options)
    if arguments.json:
        return json.dumps({"model": arguments.model, **_plain(plan, options, arguments.memory)}, indent=2)
    console = Console()
    with console.capture() as capture:
        console.print(_facts(arguments.model, plan))
        console.print(_memory(plan))
        console.print(verdict(plan, arguments.memory), soft_wrap=True)
    return capture.get().rstrip("\n")


def verdict(plan: Plan, memory: float) -> str:
    """Whether training and drawing fit a device with `memory` GB, in one sentence."""
    parts = []
    for name, peak in (("training", plan.training.peak), ("drawing", plan.drawing.peak)):
        fits = "fits" if peak <= memory * 1e9 else "does not fit"
        parts.append(f"{name} peaks at {_size(peak)} per device: {fits} {memory:g} GB")
    return "; ".join(parts)


def _subject(model: str) -> _Subject:
    presets = {name.lower(): preset for name, preset in PRESETS.items()}
    if model.lower() in presets:
        config = InfinityConfig(**presets[model.lower()])
        return _Subject(config, paper_tokenizer(config.token_bits), None)
    directory = Path(model)
    folder = directory if (directory / "config.json").is_file() else directory / "transformer"
    if not folder.is_dir():
        raise ValueError(
            f"--model {model} is neither a size ({', '.join(PRESETS)}) nor the directory of a saved model"
        )
    config, extra = read_config(folder, "transformer")
    tokenizer = folder.parent / "vae"
    vae = read_config(tokenizer, "vae")[0] if tokenizer.is_dir() else paper_tokenizer(config.token_bits)
    saved = extra.get("resolution")
    return _Subject(config, vae, None if saved is None else config_from_dict(Resolution, saved))


def _schedule(subject: _Subject, resolution: str | None, aspect_ratio: float | None) -> ScaleSchedule:
    saved = subject.resolution
    if resolution is None and saved is not None:
        return saved.schedule(saved.aspect_ratios[0] if aspect_ratio is None else aspect_ratio)
    name = resolution or "256"
    pixels = _PIXELS.get(name, name)
    if pixels not in get_args(PixelBudget):
        raise ValueError(
            f"--resolution must be one of {', '.join((*_PIXELS, *_PIXELS.values()))}, got {resolution}"
        )
    if subject.vae.token_stride != _STRIDE:
        raise ValueError(
            f"--resolution {name} means tokens of {_STRIDE} x {_STRIDE} pixels, the model's have "
            f"{subject.vae.token_stride}; leave --resolution out"
        )
    return paper_schedule(1.0 if aspect_ratio is None else aspect_ratio, pixels)


def _plain(plan: Plan, options: PlanOptions, memory: float) -> dict[str, Any]:
    parts = {
        name: {**part._asdict(), "peak": part.peak, "fits": part.peak <= memory * 1e9}
        for name, part in (("training", plan.training), ("drawing", plan.drawing))
    }
    return {
        "options": asdict(options),
        "image_size": list(plan.image_size),
        "num_tokens": plan.num_tokens,
        "parameters": plan.parameters._asdict(),
        "flops_per_image": plan.flops._asdict(),
        "bytes_per_device": parts,
        "verdict": verdict(plan, memory),
    }


def _facts(model: str, plan: Plan) -> Table:
    height, width = plan.image_size
    table = Table(title=f"Infinity {model}: images of {height} x {width}, {plan.num_tokens} tokens")
    for column in ("", "transformer", "tokenizer"):
        table.add_column(column, justify="left" if not column else "right")
    parameters, flops = plan.parameters, plan.flops
    table.add_row("parameters", _number(parameters.transformer), _number(parameters.tokenizer))
    table.add_row("  of the classifier", _number(parameters.classifier), "")
    table.add_row("training, FLOPs per image", _number(flops.training), _number(flops.encoding))
    table.add_row("drawing, FLOPs per image", _number(flops.drawing), _number(flops.decoding))
    return table


def _memory(plan: Plan) -> Table:
    table = Table(title="Memory per device")
    for column in ("", "training", "drawing"):
        table.add_column(column, justify="left" if not column else "right")
    training, drawing = plan.training._asdict(), plan.drawing._asdict()
    for name, label in _ROWS.items():
        sizes = [training.get(name, 0), drawing.get(name, 0)]
        if any(sizes):
            table.add_row(label, *(_size(size) if size else "" for size in sizes))
    table.add_section()
    table.add_row("peak", _size(plan.training.peak), _size(plan.drawing.peak))
    return table


def _number(count: int) -> str:
    """Three digits and a unit, as 2.2 G."""
    for exponent, unit in ((15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if count >= 10**exponent:
            return f"{count / 10**exponent:.4g} {unit}"
    return str(count)


def _size(num_bytes: int) -> str:
    """Bytes in GiB, or in MiB below one."""
    return f"{num_bytes / 2**30:.1f} GiB" if num_bytes >= 2**30 else f"{num_bytes / 2**20:.1f} MiB"
