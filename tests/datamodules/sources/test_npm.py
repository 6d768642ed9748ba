"""Fetching with a client that is there, fails, or is missing; never over the network."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from datamodules.sources.npm import fetch_package
from tests.datamodules.conftest import write_tar
from tests.datamodules.sources.packages import silent


def archive(path: Path) -> None:
    write_tar(path.with_suffix(".tar"), {"package/assets/a.txt": b"words"})
    path.write_bytes(gzip.compress(path.with_suffix(".tar").read_bytes()))
    path.with_suffix(".tar").unlink()


def client(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for npm on the path; it notes its arguments in `calls`."""
    folder.mkdir()
    (folder / "npm").write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{script}\n')
    (folder / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_package_is_fetched_once_and_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path / "remote.tgz")
    client(tmp_path / "bin", f'cp {tmp_path}/remote.tgz "$4/owner-name-1.0.0.tgz"', monkeypatch)
    for _ in range(2):
        folder = fetch_package("@owner/name", "1.0.0", tmp_path / "packages", silent)
        assert (folder / "assets" / "a.txt").read_text() == "words"
    calls = (tmp_path / "bin" / "calls").read_text().splitlines()
    assert calls == [f"pack @owner/name@1.0.0 --pack-destination {tmp_path / 'packages'}"]


def test_without_npm_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"npm is needed to fetch name@1\.0\.0 and is not installed; .*name-1\.0\.0\.tgz"
    ):
        fetch_package("name", "1.0.0", tmp_path / "packages", silent)


def test_without_npm_an_archive_put_there_by_hand_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "packages").mkdir()
    archive(tmp_path / "packages" / "name-1.0.0.tgz")
    assert (fetch_package("name", "1.0.0", tmp_path / "packages", silent) / "assets").is_dir()


def test_without_a_network_npms_own_message_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client(tmp_path / "bin", 'echo "npm error code ENOTFOUND" >&2; exit 1', monkeypatch)
    with pytest.raises(
        ValueError, match=r"could not fetch name@1\.0\.0 \(code ENOTFOUND\); is the network reachable"
    ):
        fetch_package("name", "1.0.0", tmp_path / "packages", silent)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "name-1.0.0.tgz").write_bytes(b"no gzip")
    with pytest.raises(
        ValueError, match=r"name-1\.0\.0\.tgz is damaged .* remove it and run the command again"
    ):
        fetch_package("name", "1.0.0", tmp_path, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["name-1.0.0.tgz"]
