"""``python -m infinity serve``: a web page on this machine."""

from __future__ import annotations

import argparse

from infinity.command_options import (
    DEFAULT_MODEL,
    add_model_options,
    add_rewriter_options,
    load_pipeline,
    load_rewriter,
)

__all__ = ["add_arguments", "run"]

_EXAMPLES = f"""examples:
  python -m infinity serve --model {DEFAULT_MODEL}
  python -m infinity serve --port 8000 --device cuda --bf16
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = "Serve a web page that draws images from prompts and redraws painted parts of them."
    parser.epilog = _EXAMPLES
    add_model_options(parser)
    add_rewriter_options(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: this machine only)"
    )
    parser.add_argument("--port", type=int, default=7860, help="default: 7860")


def run(options: argparse.Namespace) -> None:
    """Serve until interrupted."""
    if not 0 < options.port < 2**16:
        raise ValueError(f"--port must be in [1, 65535], got {options.port}")
    try:
        from infinity.serve.page import serve
    except ImportError as error:
        raise ValueError(
            f"the page needs the package gradio ({error}): pip install 'infinity-suite[serve]'"
        ) from error
    pipeline, rewriter = load_pipeline(options), load_rewriter(options)
    title = str(options.model)
    try:
        serve(pipeline, title=title, host=options.host, port=options.port, rewriter=rewriter)
    except OSError as error:
        raise ValueError(
            f"no page can be served at {options.host}:{options.port}; choose another --port (or --host)"
        ) from error
