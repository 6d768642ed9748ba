"""Frozen dataclass configs to JSON and back, strictly."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["config_from_dict", "config_to_dict"]

T = TypeVar("T")


def config_to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types (tuples become lists)."""
    return _plain(dataclasses.asdict(config))


def config_from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """Rebuild a dataclass, and the dataclasses inside it, from what :func:`config_to_dict` gave.

    Missing keys take their defaults, so that older files stay readable; unknown keys and values of
    another type are errors.
    """
    hints = get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    if unknown := sorted(set(values) - names):
        raise ValueError(
            f"{kind.__name__} has no {', '.join(unknown)}; it takes {', '.join(sorted(names))}. "
            "Was the file written by another version?"
        )
    return kind(
        **{name: _typed(f"{kind.__name__}.{name}", hints[name], value) for name, value in values.items()}
    )


def _typed(name: str, hint: Any, value: Any) -> Any:
    origin, options = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return config_from_dict(hint, value)  # pyright: ignore[reportArgumentType]
    if origin is tuple:
        return tuple(_typed(name, options[0], entry) for entry in value)
    if origin is Literal:
        matches = value in options
    elif origin in (Union, types.UnionType):
        inner = next((option for option in options if _fits(option, value)), None)
        return value if inner is None else _typed(name, inner, value)
    else:
        matches = _fits(hint, value)
    if not matches:
        expected = " or ".join(map(repr, options)) if origin is Literal else getattr(hint, "__name__", hint)
        raise ValueError(f"{name} must be {expected}, got {value!r}")
    return value


def _fits(hint: Any, value: Any) -> bool:
    if dataclasses.is_dataclass(hint):
        return isinstance(value, Mapping)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
