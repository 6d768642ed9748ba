"""Fetching Debian packages with a client that is there, fails, or is missing; never over the network."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from datamodules.sources.debian import fetch_deb
from tests.datamodules.sources.packages import silent, write_deb

NAME = "name_1%3a2.0-3_all"
FILES = {
    "usr/share/name/cat.png": b"pixels",
    "usr/share/name/cat.txt": b"words",
    "usr/share/name/meow.ogg": b"sound",
    "usr/share/doc/name/copyright": b"by Ann",
}


def client(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in for a program on the path; it notes its arguments in `calls`."""
    folder.mkdir()
    (folder / name).write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{script}\n')
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_package_put_there_by_hand_needs_no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_deb(tmp_path / f"{NAME}.deb", FILES)
    package = fetch_deb("name", tmp_path, silent)
    assert (package.version, package.id) == ("1:2.0-3", "name=1:2.0-3")
    assert (package.folder / "usr/share/name/cat.png").read_bytes() == b"pixels"
    assert package.copyright() == "by Ann"


def test_only_pictures_and_texts_are_unpacked_and_no_links(tmp_path: Path) -> None:
    links = {"usr/share/name/kitten.png": "cat.png", "usr/share/name/evil.png": "/etc/hostname"}
    write_deb(tmp_path / f"{NAME}.deb", FILES, links)
    folder = fetch_deb("name", tmp_path, silent).folder
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert found == sorted(name for name in FILES if not name.endswith(".ogg"))


def test_what_is_unpacked_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_deb(tmp_path / f"{NAME}.deb", FILES)
    first = fetch_deb("name", tmp_path, silent)
    (tmp_path / f"{NAME}.deb").unlink()
    assert fetch_deb("name", tmp_path, silent) == first


def test_a_package_is_fetched_once_with_a_bar_over_its_megabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_deb(tmp_path / f"{NAME}.deb", {**FILES, "usr/share/name/large.ogg": bytes(1)})
    script = (
        f'[ "$2" = --print-uris ] && echo "\'URL\' {NAME}.deb 2500001 SHA256:0" && exit\n'
        f"cp {tmp_path}/{NAME}.deb . && sleep 0.3"
    )
    client(tmp_path / "bin", "apt-get", script, monkeypatch)
    told: list[tuple[str, int, int]] = []
    for _ in range(2):
        package = fetch_deb("name", tmp_path / "packages", lambda *step: told.append(step))
    assert (package.folder / "usr/share/name/cat.txt").read_bytes() == b"words"
    assert (tmp_path / "bin/calls").read_text().split("\n") == [
        "download --print-uris name",
        "download name",
        "",
    ]
    bars = {what: (sum(step[1] for step in told if step[0] == what), total) for what, _, total in told}
    assert bars == {"fetch name (MB)": (3, 3), "unpack name": (1, 1)}
    assert sorted(path.name for path in (tmp_path / "packages").iterdir()) == [NAME, f"{NAME}.deb"]


def test_without_the_client_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"apt-get is needed to fetch name and is not installed; .*put its \.deb"
    ):
        fetch_deb("name", tmp_path / "packages", silent)


def test_the_clients_own_message_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'echo "W: odd" >&2; echo "E: Unable to locate package name" >&2; exit 100'
    client(tmp_path / "bin", "apt-get", script, monkeypatch)
    with pytest.raises(
        ValueError, match=r"fetch name \(Unable to locate package name\); .* `apt-get update` help"
    ):
        fetch_deb("name", tmp_path / "packages", silent)
    assert not list((tmp_path / "packages").iterdir())


@pytest.mark.parametrize(
    "data", [b"no archive", b"!<arch>\n" + b"x" * 60, b"!<arch>\n"], ids=["other format", "broken", "empty"]
)
def test_a_damaged_package_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "name_1_all.deb").write_bytes(data)
    with pytest.raises(
        ValueError, match=r"name_1_all\.deb is damaged .*; remove it and run the command again"
    ):
        fetch_deb("name", tmp_path, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["name_1_all.deb"]


def test_a_truncated_package_is_named(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.deb"
    write_deb(path, {**FILES, "usr/share/name/dog.png": bytes(range(256)) * 99})
    path.write_bytes(path.read_bytes()[:-80])
    with pytest.raises(ValueError, match="is damaged"):
        fetch_deb("name", tmp_path, silent)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_two_versions_are_refused(tmp_path: Path) -> None:
    for version in ("1", "2"):
        write_deb(tmp_path / f"name_{version}_all.deb", FILES)
    with pytest.raises(ValueError, match=r"several versions of name \(name_1_all, name_2_all\); keep one"):
        fetch_deb("name", tmp_path, silent)


def test_a_compression_that_python_lacks_is_left_to_dpkg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        info = tarfile.TarInfo("./usr/share/name/cat.png")
        info.size = 6
        tar.addfile(info, io.BytesIO(b"pixels"))
    header = f"{'data.tar.zst':<16}{0:<12}{0:<6}{0:<6}{100644:<8}{0:<10}`\n"
    (tmp_path / f"{NAME}.deb").write_bytes(b"!<arch>\n" + header.encode())
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match=r"dpkg-deb is needed to unpack .* zstd"):
        fetch_deb("name", tmp_path, silent)
    client(tmp_path / "bin", "dpkg-deb", f"cat {tmp_path}/data.tar", monkeypatch)
    assert (fetch_deb("name", tmp_path, silent).folder / "usr/share/name/cat.png").read_bytes() == b"pixels"
