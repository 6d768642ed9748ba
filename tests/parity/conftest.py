"""Tests on recordings of the official implementation: one for every part of every file of a folder.

``@recorded("tokenizer")`` runs a test on every part of that kind; its fixture ``ledger`` holds the tensors.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.parity.folder import only_parity, recordings_folder
from tests.parity.ledger import Entry, Ledger
from tests.parity.recordings import Recordings

_RECORDINGS = pytest.StashKey[Recordings]()


def recordings_of(config: pytest.Config) -> Recordings:
    if _RECORDINGS not in config.stash:
        config.stash[_RECORDINGS] = Recordings(recordings_folder(config))
    return config.stash[_RECORDINGS]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "recorded(test): run on every recording of a kind (tests/parity)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    recordings = recordings_of(metafunc.config)
    if "recorded_file" in metafunc.fixturenames:
        metafunc.parametrize("recorded_file", list(recordings.files))
    if mark := metafunc.definition.get_closest_marker("recorded"):
        parts = [part for part in recordings.parts if part.test in mark.args]
        metafunc.parametrize("ledger", parts, ids=[part.id for part in parts], indirect=True)


@pytest.fixture(scope="session")
def recordings(pytestconfig: pytest.Config) -> Recordings:
    return recordings_of(pytestconfig)


@pytest.fixture
def ledger(request: pytest.FixtureRequest, recordings: Recordings) -> Ledger:
    """The tensors of one part; what is compared with them goes into the summary."""
    ledger = Ledger(recordings, request.param)
    request.node.user_properties.append(("parity", ledger.rows))
    return ledger


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The largest difference of every tensor, or of every file if other tests ran too."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    entries = [
        Entry(*entry)
        for report in reports
        for name, rows in getattr(report, "user_properties", ())
        if name == "parity"
        for entry in rows
    ]
    if not entries:
        return
    terminalreporter.section(f"differences from the official implementation ({recordings_folder(config)})")
    if not only_parity(config):
        worst = {entry.file: entry for entry in sorted(entries, key=_share)}
        entries = list(worst.values())
    for entry in sorted(entries):
        terminalreporter.write_line(str(entry))


def _share(entry: Entry) -> float:
    """How much of its limit a difference uses up."""
    return entry.difference / entry.limit if entry.limit else entry.difference
