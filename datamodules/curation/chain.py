"""A chain of steps as a config file gives it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from datamodules.curation.step import STEPS, Step

__all__ = ["check_complete", "load_chain", "parse_chain"]


def load_chain(path: Path) -> list[Step]:
    """Read the steps of a YAML file, ``steps: [{resolution: {min: 256}}, ...]``."""
    try:
        config = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML ({' '.join(str(error).split())})") from error
    try:
        return parse_chain(config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse_chain(config: Any) -> list[Step]:
    """Build the steps; unknown names, unknown settings and wrong values are errors."""
    if not isinstance(config, dict) or set(config) != {"steps"} or not isinstance(config["steps"], list):
        raise ValueError(f"expected one key, `steps`, with a list of steps, got {_shortened(config)}")
    steps = []
    for entry in config["steps"]:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise ValueError(
                f"a step is its name with its settings, as `resolution: {{min: 256}}`, got {entry}"
            )
        ((name, settings),) = entry.items()
        if name not in STEPS:
            raise ValueError(f"no step is called {name}; there are {', '.join(sorted(STEPS))}")
        steps.append(_built(STEPS[name], settings or {}))
    if not steps:
        raise ValueError("`steps` is empty; name at least one step (`curate --list` shows all)")
    return steps


def check_complete(steps: Sequence[Step]) -> None:
    """Raise one error that says what is missing for any of the steps."""
    if missing := [sentence for step in steps if (sentence := step.missing())]:
        raise ValueError("; ".join(missing) + "; put it there, or leave the step out of the config")


def _built(step: type[Step], settings: Any) -> Step:
    if not isinstance(settings, dict):
        raise ValueError(f"the settings of {step.name} must have names, as `min: 256`, got {settings}")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(step, None, as_group=False)
    try:
        return step(**parser.parse_object(settings).as_dict())
    except (ArgumentError, ValueError) as error:
        raise ValueError(f"step {step.name}: {' '.join(str(error).split())}") from error


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 100 else text[:100] + "..."
