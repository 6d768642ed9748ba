"""``pytest tests/parity --fixtures DIR``: the folder of recordings.

pytest has a flag of that name, which takes no value, so that DIR reaches it as one more path to collect. It
is taken out again before anything is collected, on the controller and on every worker of xdist alike.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.recordings import MANIFEST, Recordings

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[1]
ASSETS = _ROOT / "tests" / "assets"  # the small recordings that come with the repository
_DEFAULTS = (_ROOT.parent / "shared" / "fixtures", ASSETS)
_GIVEN = pytest.StashKey[Path]()


def take_folder(config: pytest.Config) -> None:
    """Read ``--fixtures DIR``; leave alone what is pytest's own ``--fixtures``."""
    if not config.option.showfixtures:
        return
    folders = {arg: config.invocation_params.dir / arg for arg in config.args}
    for arg, folder in folders.items():
        if (folder / MANIFEST).is_file():
            config.stash[_GIVEN] = folder
            config.option.showfixtures = False
            config.args.remove(arg)
            config.args = config.args or [str(_HERE)]
            return
    if elsewhere := [arg for arg, path in folders.items() if not path.resolve().is_relative_to(_ROOT)]:
        raise pytest.UsageError(f"--fixtures {elsewhere[0]}: that folder has no {MANIFEST}")


def recordings_folder(config: pytest.Config) -> Path:
    """The folder that was given, or the first of the default ones that exists."""
    return config.stash.get(_GIVEN, None) or default_recordings()[0].folder


def default_recordings() -> list[Recordings]:
    """The recordings beside the repository and the small ones in it, as far as they exist."""
    return [Recordings(folder) for folder in _DEFAULTS if (folder / MANIFEST).is_file()]


def only_parity(config: pytest.Config) -> bool:
    """Whether these tests were asked for by name."""
    paths = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return all(path.is_relative_to(_HERE) for path in paths)
