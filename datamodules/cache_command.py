"""``python -m datamodules cache DIR``: what frozen encoders make of a data set, in side shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt

from datamodules.command_line import command_parser, local_folder, names_of, told_result
from datamodules.packing import Progress
from datamodules.storage import is_url, join, location_of
from infinity.configs import config_from_dict
from infinity.schedules import Resolution

if TYPE_CHECKING:
    from datamodules.caching import CacheFacts

__all__ = ["parser", "run"]


def parser() -> ArgumentParser:
    """What to encode, and how the encoders that training uses are called."""
    made = command_parser(
        "cache",
        "Store tokenizer features (--vae) and text states (--text) of all splits of DIR beside its shards, "
        "for data.caches of training. Interrupted, it goes on when it is called again.",
        "cache data/mine --vae runs/vae/mine/export --resolution.stride 16 --resolution.pixels 0.25M",
    )
    made.add_argument("--config", action="config", help="YAML file with these options")
    made.add_argument("data", type=str, help="data set directory, or its URL (needs --out)")
    made.add_argument("--vae", type=str | None, help="directory of the tokenizer: caches its features")
    made.add_argument(
        "--precision",
        type=Literal["32-true", "bf16-mixed"],
        default="32-true",
        help="of the tokenizer's convolutions, as trainer.precision",
    )
    made.add_argument("--resolution", type=Resolution, default=Resolution(), help="as data.resolution")
    made.add_argument(
        "--text",
        type=dict[str, Any] | None,
        help="text encoder, a mapping as model.text: caches its states, e.g. '{kind: huggingface, "
        "huggingface: {model: google/flan-t5-xl}}'",
    )
    made.add_argument(
        "--captions", type=str | list[str], default="caption", help="kinds, as in data.captions: long,short"
    )
    made.add_argument(
        "--text_dtype",
        type=Literal["float32", "bfloat16", "float16"],
        default="float32",
        help="type that text states are rounded to; features are always float32",
    )
    made.add_argument("--out", type=str | None, help="directory of the caches (default: DIR/caches)")
    made.add_argument("--device", type=str, default="cpu", help="where the encoders run, e.g. cuda")
    made.add_argument(
        "--batch_size",
        type=PositiveInt,
        default=16,
        help="samples encoded at once; with training's data.batch_size and trainer.precision, features are "
        "equal to the last bit",
    )
    made.add_argument(
        "--part", type=str, default="1/1", help="2/8: second of eight equal parts of the shards"
    )
    made.add_argument(
        "--max_pixels",
        type=PositiveInt,
        default=2**26,
        help="larger images count as unreadable, as data.max_pixels",
    )
    return made


def run(options: Namespace, progress: Progress) -> str:
    """Write the caches; returns where they are and how many samples they have."""
    # here, as --help needs no torch
    from datamodules.cache_writing import write_cache
    from datamodules.splits import dataset_splits

    data = location_of(options.data)
    if is_url(data) and not options.out:
        raise ValueError(f"say by --out where on this machine the caches of {data} are to lie")
    out = local_folder(options.out or join(data, "caches"))
    if options.vae is None and options.text is None:
        raise ValueError("nothing to cache; name a tokenizer with --vae, a text encoder with --text, or both")
    options.captions = names_of(options.captions)
    if not options.captions or any(set("{:}") & set(kind) for kind in options.captions):
        raise ValueError(f"captions must name kinds, as long,short, got {options.captions}")
    part, num_parts = _part(options.part)
    indices = dataset_splits(data)
    for index in indices.values():
        index.verify()
    told = []
    with ThreadPoolExecutor(options.num_workers) as pool:
        for facts, encoding in _contents(options):
            directory = out / facts.name
            counts: dict[str, int] = {}
            left_out: dict[str, list[str]] = {}
            for split, index in indices.items():
                what = f"{facts.content} of {split}"
                written = write_cache(
                    directory / split,
                    index,
                    replace(facts, index=index.fingerprint),
                    encoding(index, pool, options.batch_size),
                    part=part,
                    num_parts=num_parts,
                    on_samples=partial(_advance, progress, what, len(index)),
                )
                left_out[split] = written.left_out
                if written.num_samples is not None:
                    counts[split] = written.num_samples
            done = told_result({"counts": counts, "left_out": left_out})
            if len(counts) < len(indices):
                done = f"part {options.part} is done, others are missing"
            told.append(f"{directory}: {done}")
    return "\n".join(told)


def _advance(progress: Progress, what: str, total: int, done: int) -> None:
    progress(what, done, total)


def _part(text: str) -> tuple[int, int]:
    """Number (from 0) and count of "2/8"."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ValueError(f"part must be K/N with K from 1 to N, got {text}")
    return int(number) - 1, int(count)


def _contents(options: Namespace) -> Iterator[tuple[CacheFacts, Callable[..., Any]]]:
    """What each cache is made of, but for the index, and what encodes samples for it."""
    import torch

    from datamodules.cache_encoding import FeatureEncoding, TextEncoding
    from datamodules.caching import CacheFacts, bucket_sizes, vae_fingerprint
    from infinity.checkpoints.io import load_vae
    from infinity.devices import check_device
    from infinity.text import TextEncoderConfig, build_text_encoder

    check_device(options.device)
    device = torch.device(options.device)
    if options.vae is not None:
        vae = load_vae(options.vae).for_inference().to(device)
        resolution = config_from_dict(Resolution, options.resolution.as_dict())
        if resolution.stride != vae.config.token_stride:
            raise ValueError(
                f"resolution.stride is {resolution.stride}, but a token of {options.vae} has "
                f"{vae.config.token_stride} pixels a side; set it to {vae.config.token_stride}"
            )
        facts = CacheFacts(
            content="features",
            encoder=vae_fingerprint(options.vae),
            index="",
            precision=options.precision,
            sizes=bucket_sizes(resolution),
            max_pixels=options.max_pixels,
        )
        yield (
            facts,
            partial(
                FeatureEncoding,
                vae=vae,
                resolution=resolution,
                max_pixels=options.max_pixels,
                device=device,
                autocast=options.precision == "bf16-mixed",
            ),
        )
    if options.text is not None:
        text = build_text_encoder(config_from_dict(TextEncoderConfig, options.text)).to(device)
        captions = tuple(sorted(set(options.captions)))
        facts = CacheFacts(
            content="text", encoder=text.fingerprint, index="", dtype=options.text_dtype, captions=captions
        )
        dtype = getattr(torch, options.text_dtype)
        yield facts, partial(TextEncoding, text=text, captions=captions, dtype=dtype)
