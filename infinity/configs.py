"""Frozen dataclass configs: checked choices, to JSON and back, strictly."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["check_literals", "config_from_dict", "config_to_dict"]

T = TypeVar("T")


def check_literals(config: Any) -> None:
    """Refuse values that a dataclass's ``Literal`` fields do not list, which Python itself lets through.

    For the ``__post_init__`` of every config with such fields, so that a misspelt choice is an error however
    the config was made.
    """
    kind = type(config)
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is Literal and not _fits(hint, getattr(config, name)):
            raise _mismatch(f"{kind.__name__}.{name}", hint, getattr(config, name))


def config_to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON types (tuples become lists)."""
    return _plain(dataclasses.asdict(config))


def config_from_dict(kind: type[T], values: Mapping[str, Any]) -> T:
    """Rebuild a dataclass, and the dataclasses inside it, from what :func:`config_to_dict` gave.

    Missing keys take their defaults, so that older files stay readable; unknown keys and values of
    another type are errors that name the field.
    """
    return _typed(kind.__name__, kind, values)


def _typed(path: str, hint: Any, value: Any) -> Any:
    """`value` as the type `hint` wants it: lists become tuples, mappings dataclasses, ints floats."""
    if get_origin(hint) in (Union, types.UnionType):
        options = [option for option in get_args(hint) if _fits(option, value)]
    else:
        options = [hint] if _fits(hint, value) else []
    if not options:
        raise _mismatch(path, hint, value)
    if dataclasses.is_dataclass(options[0]):
        return _dataclass(path, options[0], value)
    if get_origin(options[0]) is tuple:
        entries = _entry_hints(options[0], len(value))
        return tuple(_typed(f"{path}[{i}]", entry, value[i]) for i, entry in enumerate(entries))
    return float(value) if options[0] is float else value


def _dataclass(path: str, kind: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    names = {field.name for field in dataclasses.fields(kind)}
    if unknown := sorted(str(name) for name in values if name not in names):
        raise ValueError(
            f"{path} has no {', '.join(unknown)}; it takes {', '.join(sorted(names))}. "
            "Was the file written by another version?"
        )
    return kind(**{name: _typed(f"{path}.{name}", hints[name], value) for name, value in values.items()})


def _fits(hint: Any, value: Any) -> bool:
    """Whether `value` is of the kind that `hint` asks for, entries and fields aside."""
    if dataclasses.is_dataclass(hint):
        return isinstance(value, Mapping)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and len(value) == len(_entry_hints(hint, len(value)))
    if get_origin(hint) is Literal:
        return any(type(option) is type(value) and option == value for option in get_args(hint))
    if hint is float:
        return type(value) in (int, float)
    if hint is int:
        return type(value) is int  # a bool is none
    return isinstance(value, hint)


def _entry_hints(hint: Any, length: int) -> tuple[Any, ...]:
    """Types of a tuple's entries: ``tuple[int, ...]`` is as long as the value."""
    entries = get_args(hint)
    return entries[:1] * length if entries[-1] is ... else entries


def _mismatch(path: str, hint: Any, value: Any) -> ValueError:
    if get_origin(hint) is Literal:
        expected = " or ".join(map(repr, get_args(hint)))
    elif isinstance(hint, type) and dataclasses.is_dataclass(hint):
        expected = f"a mapping with the fields of {hint.__name__}"
    else:
        expected = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    return ValueError(f"{path} must be {expected}, got {value!r}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
