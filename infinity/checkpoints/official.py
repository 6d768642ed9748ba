"""Find official weights, wherever they lie in a file, and build our models from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import torch
from torch import Tensor

from infinity.checkpoints.keymap import Drop, Rule, apply_rules, describe_differences, invert_rules
from infinity.checkpoints.official_ar import (
    has_chunks,
    infer_official_transformer,
    official_transformer_rules,
)
from infinity.checkpoints.official_vae import OFFICIAL_VAES, infer_official_vae, official_vae_rules
from infinity.rope2d import RopeGrid
from infinity.sampling.config import SamplingConfig
from infinity.schedules import PixelBudget
from infinity.transformer.config import PRESETS, InfinityConfig
from infinity.transformer.model import Infinity
from infinity.vae.config import VAEConfig
from infinity.vae.model import VAE

__all__ = [
    "OfficialState",
    "build_transformer",
    "build_vae",
    "find_official_state",
    "official_names",
    "official_pixels",
    "official_sampling",
    "training_options",
]

M = TypeVar("M", VAE, Infinity)

_MARKS: dict[str, str] = {"vae": "encoder.conv_in.conv.weight", "transformer": "word_embed.weight"}
# Where official files keep the weights to sample from; a training run's tokenizer and averages come last.
_PLACES = ("", "vae", "trainer/gpt_fsdp", "trainer/gpt_wo_ddp", "gpt_fsdp", "gpt_wo_ddp")
_RELEASED_AT_1M = {"2b", "8b", "20b"}  # the scaling study was trained at 0.06M
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Masks that older official code stored, and that every version leaves out when it loads weights.
_MASKS = ("lvl_1L", "attn_bias_for_masking", "Infinity_visible_kvlen", "Infinity_invisible_qlen")
_WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# What arguments of training runs say of a transformer: our option, their name, their values in our words.
_ARGUMENTS: tuple[tuple[str, str, dict[Any, str]], ...] = (
    ("rope_grid", "rope2d_normalized_by_hw", {0: "index", 1: "interpolate", 2: "reference"}),
    ("scale_embedding", "add_lvl_embeding_only_first_block", {0: "every_chunk", 1: "first_block"}),
    ("resolution", "pn", {pixels: pixels for pixels in get_args(PixelBudget)}),
)


class OfficialState(NamedTuple):
    """A state dict under official names."""

    kind: str  # "vae" or "transformer"
    tensors: dict[str, Tensor]
    place: str  # path of keys in the file, e.g. "trainer/gpt_fsdp"; "" if the file is the state dict
    other_places: tuple[str, ...]


def find_official_state(
    content: Any, source: Path, *, place: str | None = None, ignore: tuple[str, ...] = ()
) -> OfficialState:
    """Find the weights in what a file holds.

    Args:
        source: name of the file, for messages.
        place: which of several state dicts; if not given, the one that official inference would take.
        ignore: shell patterns of further names to leave out; stored masks are left out, as officially.
    """
    found = dict(_state_dicts(content))
    if place is None:
        place = next((name for name in (*_PLACES, *found) if name in found), None)
    if place is None or place not in found:
        wanted = "official Infinity weights" if place is None else f"weights at {place!r}"
        held = f"weights at {', '.join(map(repr, found))}" if found else _describe(content)
        raise ValueError(f"{source} holds no {wanted}: it has {held}")
    kind, state = found[place]
    ignore = (*ignore, *_MASKS)
    tensors = {name: value for name, value in state.items() if not any(fnmatchcase(name, p) for p in ignore)}
    if wrong := sorted(name for name, value in tensors.items() if not isinstance(value, Tensor)):
        raise ValueError(f"{source} holds other things than tensors among its weights, such as {wrong[0]}")
    return OfficialState(kind, tensors, place, tuple(name for name in found if name != place))


def training_options(content: Any) -> dict[str, str]:
    """What a training checkpoint says of its transformer besides the weights: options of the converter."""
    arguments = content.get("args") if isinstance(content, Mapping) else None
    if not isinstance(arguments, Mapping):
        return {}
    said = [(ours, arguments.get(theirs), values) for ours, theirs, values in _ARGUMENTS]
    return {
        ours: values[value]
        for ours, value, values in said
        if isinstance(value, int | str) and value in values
    }


def build_vae(state: Mapping[str, Tensor], *, patchify: Literal[1, 2] | None = None) -> VAE:
    """A tokenizer with official weights, which must be complete and no more."""
    config = infer_official_vae(state, patchify)
    with torch.device("meta"):
        model = VAE(config)
    return _filled(model, state, official_vae_rules(config))


def build_transformer(
    state: Mapping[str, Tensor],
    *,
    rope_grid: RopeGrid = "reference",
    scale_embedding: Literal["first_block", "every_chunk"] = "first_block",
) -> Infinity:
    """A transformer with official weights, which must be complete and no more; options as released."""
    config = infer_official_transformer(state, rope_grid=rope_grid, scale_embedding=scale_embedding)
    with torch.device("meta"):
        model = Infinity(config)
    return _filled(model, state, official_transformer_rules(config, chunked=has_chunks(state)))


def official_names(config: VAEConfig | InfinityConfig) -> list[str]:
    """Published models of this architecture."""
    if isinstance(config, VAEConfig):
        return [name for name, known in OFFICIAL_VAES.items() if known == config]
    size = ("depth", "width", "num_heads")
    return [
        name
        for name, preset in PRESETS.items()
        if all(preset[part] == getattr(config, part) for part in size) and not name.startswith("cpu")
    ]


def official_pixels(config: InfinityConfig) -> PixelBudget:
    """Pixels that a published transformer was trained for; those of the released ones if it is unknown."""
    names = official_names(config)
    return "0.06M" if names and not _RELEASED_AT_1M & set(names) else "1M"


def official_sampling(config: InfinityConfig) -> SamplingConfig:
    """Settings of the official inference scripts."""
    if "8b" in official_names(config):
        return SamplingConfig(guidance=3.0, temperature=1.0, top_p=0.97)
    return SamplingConfig(guidance=4.0, temperature=0.5, top_p=0.97)


def _filled(model: M, state: Mapping[str, Tensor], rules: list[Rule]) -> M:
    buffers = [rule.theirs for rule in rules if isinstance(rule, Drop)]
    expected = invert_rules(rules, model.state_dict())  # on the meta device: names and shapes only
    if differences := describe_differences(state, expected, optional=buffers):
        raise ValueError(f"the weights are not those of one official model: {differences}")
    if strange := sorted(name for name in state.keys() - set(buffers) if not _is_plain(state[name])):
        found = state[strange[0]]
        raise ValueError(
            f"{strange[0]} must hold plain floating-point numbers, got {found.dtype} "
            f"({str(found.layout).removeprefix('torch.')}, {found.device.type})"
        )
    model.load_state_dict(apply_rules(rules, state), strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _is_plain(tensor: Tensor) -> bool:
    """Whether values are there, one after the other, in a type that models can have."""
    return tensor.dtype in _FLOATS and tensor.layout == torch.strided and not tensor.is_meta


def _state_dicts(
    content: Any, place: str = "", depth: int = 3
) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """Kind and state dict of all official weights in nested dicts, by place."""
    if not isinstance(content, Mapping):
        return
    names = {name: value for name, value in content.items() if isinstance(name, str)}
    state = _unwrapped(names)
    kind = next((kind for kind, mark in _MARKS.items() if isinstance(state.get(mark), Tensor)), None)
    if kind is not None and len(state) < len(names):
        raise ValueError(f"two weights at {place!r} have one name, once the names of wrappers are left out")
    if kind is not None:
        yield place, (kind, state)
    elif depth:
        for name, value in names.items():
            yield from _state_dicts(value, f"{place}/{name}".lstrip("/"), depth - 1)


def _unwrapped(state: Mapping[str, Any]) -> dict[str, Any]:
    """Names without what compilation, checkpointing, FSDP and DDP put into them."""
    names = {_WRAPPERS.sub("", name): value for name, value in state.items()}
    if names and all(name.startswith("module.") for name in names):
        names = {name.removeprefix("module."): value for name, value in names.items()}
    return names


def _describe(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return f"{len(content)} entries ({', '.join(sorted(map(str, content))[:3])})" if content else "no entries"
