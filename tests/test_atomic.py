from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from infinity.atomic import remove, replacing, write_atomically


def test_a_file_replaces_the_old_one_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as temporary:
        temporary.write_text("new\ud800", encoding="utf-8")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def write_folder(folder: Path, text: str) -> None:
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "c").write_text(text, encoding="utf-8")


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError), replacing(tmp_path / "a") as temporary:
        write_folder(temporary, "\ud800")
    assert list(tmp_path.iterdir()) == []
    with replacing(tmp_path / "a") as temporary:
        write_folder(temporary, "c")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["a", "a/b", "a/b/c"]


def test_text_and_bytes_are_written_into_folders_that_are_not_there_yet(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "text", "é \ud800")
    write_atomically(tmp_path / "a" / "bytes", b"\xff")
    assert (tmp_path / "a" / "text").read_bytes() == "é \\ud800".encode()
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\xff"


def test_files_folders_and_nothing_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "other" / "kept").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("file", "folder", "link", "nothing"):
        remove(tmp_path / name)
    assert list(tmp_path.rglob("*")) == [tmp_path / "other", tmp_path / "other" / "kept"]


def test_threads_may_write_the_same_file_at_a_time(tmp_path: Path) -> None:
    path, texts = tmp_path / "a.txt", [str(i) * 1000 for i in range(4)]
    barrier = Barrier(len(texts))

    def write(text: str) -> None:
        with replacing(path) as temporary:
            temporary.write_text(text)
            barrier.wait(10)

    with ThreadPoolExecutor(len(texts)) as threads:
        list(threads.map(write, texts))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_full_disk_stops_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: .*a\.tar"), replacing(tmp_path / "a.tar"):
        raise OSError(errno.ENOSPC, "No space left on device")
