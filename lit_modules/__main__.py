"""Train: ``python -m lit_modules {vae,ar} {fit,validate,test} --config FILE ...``, or ``demo``."""

from __future__ import annotations

import sys

from lit_modules.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
