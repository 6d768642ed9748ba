"""Make, describe, filter and measure data sets: ``python -m datamodules COMMAND``.

A command NAME is the module ``datamodules/NAME_command.py`` with ``parser()`` and ``run(options, progress)``,
which returns a text to print. Only the module of the command that is called is imported.
"""

from __future__ import annotations

import importlib
import sys

from datamodules.progress_bars import progress_bars

__all__ = ["extra_of", "main"]

_COMMANDS = {  # arguments of an example, what it does
    "prepare": (
        "shapesworld data/full --tier full",
        "render or fetch a data set, with nothing of yours",
    ),
    "pack": (
        "photos.csv data/mine --images photos",
        "pack your folder or table of images and captions; index your shards",
    ),
    "index": ("data/cc3m", "index existing WebDataset / img2dataset shards where they lie"),
    "stats": (
        "data/mine --duplicates",
        "sizes, aspect ratios, crop loss, captions and duplicates of a data set",
    ),
    "curate": (
        "data/mine data/clean --config configs/data/curate.yaml",
        "filter a data set, with a record of what was dropped and why",
    ),
    "cache": (
        "data/mine --vae runs/vae/mine/export --resolution.stride 16 --resolution.pixels 0.25M",
        "store encoded captions or images beside the shards",
    ),
    "bench": ("--num_images 1024", "time the loader against bare decoding of the same files"),
}

_EXTRAS = {  # of pyproject.toml, with the optional packages that commands import
    "data": ("cv2", "imagehash", "jinja2", "matplotlib", "pyarrow"),
    "curate": ("open_clip", "py3langid", "timm"),
    "hf": ("transformers",),
    "ray": ("ray",),
}


def _help() -> str:
    lines = ["usage: python -m datamodules COMMAND ...", "", "Make, describe, filter and measure data sets."]
    for name, (example, summary) in _COMMANDS.items():
        lines += ["", f"  {name}: {summary}", f"    python -m datamodules {name} {example}"]
    lines += ["", "Each command explains its options with --help, and can be interrupted and called again."]
    return "\n".join(lines)


def extra_of(package: str) -> str:
    """The extra that has a package; none for what is needed in any case."""
    return next((extra for extra, packages in _EXTRAS.items() if package in packages), "")


def main(arguments: list[str]) -> int:
    """Run a command; errors that a user can mend are one sentence on stderr."""
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
        return 0
    try:
        if name not in _COMMANDS:
            raise ValueError(f"the commands are {', '.join(_COMMANDS)}, got {name!r}")
        command = importlib.import_module(f"datamodules.{name}_command")
        options = command.parser().parse_args(rest)
        with progress_bars() as progress:
            text = command.run(options, progress)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "datamodules"):
            raise
        what = f"'.[{extra}]'" if (extra := extra_of(package)) else "."
        print(f"error: {name} needs {package}; install it with pip install -e {what}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; call it again to go on", file=sys.stderr)
        return 130
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
