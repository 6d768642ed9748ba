from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datamodules.decode import BrokenSampleError
from datamodules.tables import open_table


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def everything(path: Path) -> list[dict[str, object] | None]:
    """All rows by their places, None for unreadable ones."""
    table = open_table(path)
    rows: list[dict[str, object] | None] = []
    for place, values in table.rows(table.columns):
        if values is None:
            with pytest.raises(BrokenSampleError):
                table.row(place)
            rows.append(None)
        else:
            rows.append(table.row(place))
            assert {name: rows[-1].get(name) for name in values} == values
    return rows


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_with_quotes_line_ends_in_cells_and_empty_lines(
    tmp_path: Path, end: str, encoding: str
) -> None:
    text = end.join(["image,caption", 'a.png,"one, ""two"""', "", f'é.png,"over{end}lines"', "c.png,007"])
    rows = everything(write(tmp_path / "t.csv", text, encoding))
    captions = ['one, "two"', f"over{end}lines", "007"]
    assert rows == [
        {"image": name, "caption": caption}
        for name, caption in zip(("a.png", "é.png", "c.png"), captions, strict=True)
    ]


def test_a_tsv_keeps_commas(tmp_path: Path) -> None:
    assert everything(write(tmp_path / "t.tsv", "a\tb\n1,2\t3\n")) == [{"a": "1,2", "b": "3"}]


def test_rows_of_another_length_are_unreadable_and_the_next_ones_are_not(tmp_path: Path) -> None:
    rows = everything(write(tmp_path / "t.csv", "a,b\n1\n2,3\n4,5,6\n7,8\n"))
    assert rows == [None, {"a": "2", "b": "3"}, None, {"a": "7", "b": "8"}]


def test_a_stray_quote_loses_what_it_swallows_and_no_more(tmp_path: Path) -> None:
    swallowed = "".join(f"{k},words\n" for k in range(20_000))
    rows = everything(write(tmp_path / "t.csv", f'a,b\n1,2\n3,"4\n{swallowed}'))
    assert rows[:2] == [{"a": "1", "b": "2"}, None]
    assert rows[-1] == {"a": "19999", "b": "words"}


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("t.csv", ["a,b", "1,caf\xe9", "2,tea"]),
        ("t.tsv", ["a\tb", "1\tcaf\xe9", "2\ttea"]),
        ("t.jsonl", ['{"a": "2", "b": "caf\xe9"}', '{"a": "2", "b": "tea"}']),
        ("t.csv", ["a,b", '1,"caf\xe9', '9,nine"', "2,tea"]),
    ],
)
def test_a_row_that_is_not_utf8_is_unreadable_and_says_so(
    tmp_path: Path, name: str, lines: list[str]
) -> None:
    path = write(tmp_path / name, "\n".join(lines), "latin-1")
    assert everything(path) == [None, {"a": "2", "b": "tea"}]
    table = open_table(path)
    first = next(iter(table.rows(["a"])))
    with pytest.raises(BrokenSampleError, match="not UTF-8; convert the table, e.g. with `iconv"):
        table.row(first.place)


def test_column_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the first line of .*t\.csv is not UTF-8; convert the table"):
        everything(write(tmp_path / "t.csv", "image,l\xe9gende\n", "latin-1"))


@pytest.mark.parametrize("header", ["", "a,a\n"])
def test_a_csv_whose_first_line_names_no_columns_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(ValueError, match=r"the first line of .*t\.csv must name its columns, each once"):
        everything(write(tmp_path / "t.csv", header))


def test_a_csv_whose_first_line_has_no_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the first line of .*t\.csv can't be read \(new-line character"):
        everything(write(tmp_path / "t.csv", "a,b\r1,2\r"))


def test_json_lines_may_differ_in_their_fields_and_broken_ones_are_unreadable(tmp_path: Path) -> None:
    lines = ['{"a": 1}', "", '{"a": ', '{"b": "\\ud83d"}', "[1]", '{"a": 2}']
    rows = everything(write(tmp_path / "t.jsonl", "\n".join(lines)))
    assert rows == [{"a": 1}, None, {"b": "\ud83d"}, None, {"a": 2}]
    assert open_table(tmp_path / "t.jsonl").columns == ("a", "b")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_bytes(b"\0" * (2**24 + 1))
    with pytest.raises(ValueError, match="line of more than 16777216 bytes; is it a table of text"):
        _ = open_table(tmp_path / "t.jsonl").columns


def test_parquet_rows_are_found_in_every_row_group(tmp_path: Path) -> None:
    table = pa.table({"n": list(range(10)), "words": [[str(k)] for k in range(10)]})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    assert everything(tmp_path / "t.parquet") == [{"n": k, "words": [str(k)]} for k in range(10)]


def test_listing_parquet_does_not_read_the_images(tmp_path: Path) -> None:
    images = pa.array([{"bytes": b"12", "path": "a.png"}, {"bytes": b"34", "path": None}])
    pq.write_table(pa.table({"image": images, "raw": [b"5", b"6"]}), tmp_path / "t.parquet")
    table = open_table(tmp_path / "t.parquet")
    assert [row.values for row in table.rows(["image", "raw"])] == [
        {"image": {"path": "a.png"}},
        {"image": {"path": None}},
    ]
    assert [len(list(table.rows(["raw"]))), table.row(1)["raw"]] == [2, b"6"]


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + bytes(50))
    with pytest.raises(ValueError, match=r"t\.parquet is no readable Parquet file"):
        _ = open_table(tmp_path / "t.parquet").columns


def test_a_table_is_small_when_pickled(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps({"a": "x" * 100}) + "\n" for _ in range(1000)))
    table = open_table(path)
    assert len(list(table.rows(["a"]))) == 1000
    assert len(pickle.dumps(table)) < 1000
