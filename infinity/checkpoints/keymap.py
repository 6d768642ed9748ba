"""Weight import by table: rules that rename, fuse or drop the keys of a foreign state dict, and the way back.

A pattern is a key in which ``{name}`` stands for letters, digits and underscores, the same on both sides of a
rule. Every key has to meet exactly one rule: what is left over is an error, here on the source's side, and in
``load_state_dict(strict=True)`` on the other. Conversion is a pure function of dicts, in both directions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

__all__ = [
    "Drop",
    "Fuse",
    "Rename",
    "Rule",
    "apply_rules",
    "describe_differences",
    "invert_rules",
    "shape_of",
]

Convert = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Rename:
    """One key becomes one key; the tensor stays as it is."""

    theirs: str
    ours: str


@dataclass(frozen=True)
class Fuse:
    """Some keys become others; `to_ours` and `to_theirs` take and return tensors in the listed order."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    to_ours: Convert
    to_theirs: Convert


@dataclass(frozen=True)
class Drop:
    """A key (no pattern) without a counterpart; `restore` makes it again from our state dict."""

    theirs: str
    restore: Callable[[Mapping[str, Tensor]], Tensor]


Rule = Rename | Fuse | Drop


def apply_rules(rules: Sequence[Rule], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert a foreign state dict to ours."""
    moves = [_move(rule, forward=True) for rule in rules]
    return _convert(moves, theirs, "the rules know no such keys; is this another model or another config?")


def invert_rules(rules: Sequence[Rule], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert our state dict to the foreign one."""
    moves = [_move(rule, forward=False) for rule in rules if not isinstance(rule, Drop)]
    theirs = _convert(moves, ours, "these keys have no counterpart in the foreign format")
    for rule in rules:
        if isinstance(rule, Drop):
            theirs[rule.theirs] = rule.restore(ours)
    return theirs


def describe_differences(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], optional: Collection[str] = ()
) -> str:
    """In which names and shapes two state dicts differ, as part of a sentence; empty if they do not."""
    shapes = {
        name: f"{name} {tuple(found[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in found.keys() & expected.keys()
        if found[name].shape != expected[name].shape
    }
    problems = {
        "missing": expected.keys() - found.keys() - set(optional),
        "unexpected": found.keys() - expected.keys(),
        "of another shape": shapes.values(),
    }
    return ", ".join(
        f"{len(names)} {problem} ({_first_few(names)})" for problem, names in problems.items() if names
    )


def shape_of(state: Mapping[str, Tensor], name: str, num_dims: int) -> tuple[int, ...]:
    """Shape of a tensor that must be there, with `num_dims` dimensions, none of them 0."""
    if name not in state:
        raise ValueError(f"the weights have no {name}; is the file complete?")
    shape = tuple(state[name].shape)
    if len(shape) != num_dims or 0 in shape:
        raise ValueError(f"{name} must have {num_dims} dimensions, none of them 0, got the shape {shape}")
    return shape


def _first_few(names: Collection[str], limit: int = 3) -> str:
    more = ", .." if len(names) > limit else ""
    return ", ".join(sorted(names)[:limit]) + more


@dataclass(frozen=True)
class _Move:
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    convert: Convert


def _move(rule: Rule, *, forward: bool) -> _Move:
    if isinstance(rule, Drop):
        return _Move((rule.theirs,), (), lambda _: ())
    if isinstance(rule, Rename):
        theirs, ours, to_ours, to_theirs = (rule.theirs,), (rule.ours,), _same, _same
    else:
        theirs, ours, to_ours, to_theirs = rule.theirs, rule.ours, rule.to_ours, rule.to_theirs
    return _Move(theirs, ours, to_ours) if forward else _Move(ours, theirs, to_theirs)


def _same(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tensors


def _convert(moves: Sequence[_Move], state: Mapping[str, Tensor], hint: str) -> dict[str, Tensor]:
    left = dict(state)
    converted: dict[str, Tensor] = {}
    for move in moves:
        for fields in _matches(move.sources[0], left):
            names = [pattern.format(**fields) for pattern in move.sources]
            missing = [name for name in names if name not in left]
            if missing:
                raise ValueError(f"{names[0]} comes without {', '.join(missing)}; is the file complete?")
            tensors = move.convert(*(left.pop(name) for name in names))
            for pattern, tensor in zip(move.targets, tensors, strict=True):
                name = pattern.format(**fields)
                if name in converted:
                    raise ValueError(f"two rules write {name}; the rules contradict each other")
                converted[name] = tensor
    if left:
        raise ValueError(f"{len(left)} keys left over ({_first_few(left)}): {hint}")
    return converted


def _matches(pattern: str, state: Mapping[str, Tensor]) -> list[dict[str, str]]:
    """The fields of every key that fits the pattern."""
    literals = re.split(r"\{(\w+)\}", pattern)
    regex = "".join(f"(?P<{part}>\\w+)" if i % 2 else re.escape(part) for i, part in enumerate(literals))
    return [match.groupdict() for key in state if (match := re.fullmatch(regex, key))]
