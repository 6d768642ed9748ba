from __future__ import annotations

import json
from pathlib import Path

import pytest

from infinity.json_files import expecting, read_json, read_json_lines, read_json_object, write_json


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"é": [1, None]})
    assert read_json_object(tmp_path / "a.json") == {"é": [1, None]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"a\.json is not JSON .* it may be cut short: copy or make it again"),
        (b"[" * 100_000, r"a\.json is not JSON"),
        (b"1" * 5000, r"a\.json is not JSON"),
        (b"\xff", r"a\.json is not UTF-8 text"),
        (b"[]", r"a\.json must hold a JSON object, got list"),
    ],
    ids=["cut", "deep", "digits", "bytes", "list"],
)
def test_what_is_no_object_is_an_error_that_names_the_file(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_json_object(tmp_path / "a.json")


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    rows = ["a\u2028b", "c\x85d"]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_bytes(f"\ufeff{text}\r\n\r\n".encode())
    assert read_json_lines(tmp_path / "a.jsonl") == rows


def test_a_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{}\n\n{"a"\n')
    with pytest.raises(ValueError, match=r"line 3 of .*a\.jsonl is not JSON"):
        read_json_lines(tmp_path / "a.jsonl")


def test_other_fields_than_expected_name_the_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1})
    with (
        pytest.raises(ValueError, match=r"a\.json is no record \(KeyError: 'c'\); make it again"),
        expecting("record", tmp_path / "a.json"),
    ):
        read_json(tmp_path / "a.json")["c"]
