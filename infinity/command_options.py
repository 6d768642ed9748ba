"""Options that the commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from infinity.checkpoints.io import weights_sha256
from infinity.hub import model_directory
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter, build_rewriter
from infinity.sampling.config import parse_per_scale

__all__ = [
    "DEFAULT_MODEL",
    "add_model_options",
    "add_rewriter_options",
    "add_sampling_options",
    "load_pipeline",
    "load_rewriter",
    "model_record",
    "per_scale",
    "sampling_arguments",
]

DEFAULT_MODEL = "runs/demo-basic-15/ar/export"


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options for the model and where it runs."""
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="saved pipeline or hub id (default: %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--bf16", action="store_true", help="round the networks to bfloat16")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """Options for how images are drawn."""
    parser.add_argument(
        "--seed", type=int, default=0, help="every image's own seed follows from it (default: 0)"
    )
    for name, meaning in (
        ("--guidance", "how strongly the prompt is followed; 1 switches guidance off"),
        ("--temperature", "0 takes the most likely bits"),
        ("--top-p", "nucleus of a bit's two values"),
    ):
        parser.add_argument(
            name,
            type=per_scale,
            help=f"{meaning}: one value, or one per scale as 1,0.5,0 (default: the model's)",
        )
    parser.add_argument("--negative-prompt", help="what guidance leads away from")
    parser.add_argument("--batch-size", type=int, default=32, help="images drawn at once (default: 32)")


def add_rewriter_options(parser: argparse.ArgumentParser, *, cache: str = "none") -> None:
    """Options for rewriting prompts first; `cache` is the help text for where they are kept by default."""
    parser.add_argument(
        "--rewriter",
        metavar="DIR|MODULE:FUNCTION",
        help="rewrites prompts first: the directory of a causal language model, or a function from a list of "
        "prompts to a list of prompts (default: none)",
    )
    parser.add_argument(
        "--rewrite-cache",
        type=Path,
        metavar="FILE",
        help=f"remembers rewritten prompts (default: {cache})",
    )


def load_pipeline(options: argparse.Namespace) -> InfinityPipeline:
    """The model of :func:`add_model_options`, on its device."""
    pipeline = InfinityPipeline.from_pretrained(options.model)
    return pipeline.to(options.device, torch.bfloat16 if options.bf16 else None)


def load_rewriter(options: argparse.Namespace, cache: Path | None = None) -> CachedRewriter | None:
    """The rewriter of :func:`add_rewriter_options`, if one was named; `cache` is its file by default."""
    if options.rewriter is None:
        if options.rewrite_cache is not None:
            raise ValueError(
                "--rewrite-cache has no effect without --rewriter; name a rewriter, or leave it out"
            )
        return None
    rewriter = build_rewriter(options.rewriter, options.device)
    return CachedRewriter(rewriter, options.rewrite_cache or cache)


def model_record(options: argparse.Namespace, pipeline: InfinityPipeline) -> dict[str, Any]:
    """What images depend on besides prompts, seeds and settings, for manifests."""
    directory = model_directory(options.model)
    return {
        "model_sha256": weights_sha256(directory / "transformer"),
        "vae_sha256": weights_sha256(directory / "vae"),
        "text_fingerprint": pipeline.text_encoder.fingerprint,
        "dtype": str(pipeline.dtype).removeprefix("torch."),
    }


def sampling_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """What :func:`add_sampling_options` says about settings, as arguments of the pipeline."""
    return {
        "guidance_scale": options.guidance,
        "temperature": options.temperature,
        "top_p": options.top_p,
        "negative_prompt": options.negative_prompt,
    }


def per_scale(text: str) -> float | tuple[float, ...]:
    """The type of options that take one value, or one per scale."""
    try:
        return parse_per_scale(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
