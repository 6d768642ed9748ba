"""Command line of the core: ``python -m infinity COMMAND``.

A command NAME is the module ``infinity/NAME_command.py`` with ``add_arguments(parser)`` and ``run(options)``,
which may return a text to print. Only the module of the command that is called is imported.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from infinity.folders import check_folder

__all__ = ["main"]

_COMMANDS = {
    "generate": "draw images from prompts",
    "reconstruct": "run images through the tokenizer, or store them as bits",
    "edit": "variations, edits by prompt, inpainting, outpainting, coarse-to-fine strips",
    "serve": "a web page to draw and redraw on",
    "convert": "official weights to a saved model, and back",
    "plan": "count a model's parameters, operations and memory before it is built",
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run a command; a user's mistake ends it with one sentence and exit status 1."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(prog="python -m infinity", description="Use trained Infinity models.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, summary in _COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if arguments[:1] == [name]:
            module = importlib.import_module(f"infinity.{name}_command")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    try:
        if (output := getattr(options, "output", None)) is not None:
            check_folder(output)
        text = options.run(options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
    if text is not None:
        print(text)


if __name__ == "__main__":
    main()
