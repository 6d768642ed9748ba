"""Command line of the core: ``python -m infinity generate``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infinity.generate_command import GenerateOptions, run_generate
from infinity.sampling.config import parse_per_scale

__all__ = ["main"]

_EXAMPLES = r"""examples:
  python -m infinity generate --model runs/demo-basic-15/ar/export "a picture of a red circle"
  python -m infinity generate --model runs/demo-basic-15/ar/export \
      --prompts prompts.txt --num-images 4 --output samples
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run a command; a user's mistake ends it with one sentence and status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m infinity", description="Sample from trained Infinity models."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_generate(commands)
    args = vars(parser.parse_args(argv))
    args.pop("command")
    try:
        run_generate(GenerateOptions(**args))
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


def _add_generate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "generate",
        help="draw images from prompts",
        description="Draw images from prompts into a folder, with a grid and a manifest.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("prompts", nargs="*", help="prompts; or none, with --prompts")
    parser.add_argument(
        "--prompts",
        dest="prompt_file",
        type=Path,
        help="file with one prompt a line, or JSON lines with 'prompt'",
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("runs/demo-basic-15/ar/export"),
        help="saved pipeline (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/samples"), help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--num-images", type=int, default=1, help="images per prompt (default: 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="every image's own seed follows from it (default: 0)"
    )
    parser.add_argument("--aspect-ratio", type=float, help="height / width, one of the model's")
    parser.add_argument(
        "--guidance", type=parse_per_scale, help="one value, or one per scale as 1,2,3 (default: the model's)"
    )
    parser.add_argument(
        "--temperature", type=parse_per_scale, help="one value or one per scale (default: the model's)"
    )
    parser.add_argument(
        "--top-p", type=parse_per_scale, help="one value or one per scale (default: the model's)"
    )
    parser.add_argument("--negative-prompt", help="what guidance leads away from")
    parser.add_argument("--batch-size", type=int, default=32, help="images drawn at once (default: 32)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--bf16", action="store_true", help="run the networks under bfloat16 autocast")


if __name__ == "__main__":
    main()
