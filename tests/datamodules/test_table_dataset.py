from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from datamodules.columns import ColumnsAsked
from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex, read_member
from datamodules.packing import DatasetParts, pack_dataset
from datamodules.shards import SampleSource
from datamodules.table_dataset import table_dataset

Rows = list[dict[str, Any]]


def encoded(size: tuple[int, int] = (9, 7), kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """20 images of different widths."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(20):
        (folder / f"p{k}.png").write_bytes(encoded((10 + k, 8)))
    return folder


def write_lines(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def make(table: Path, images: Path | None = None, val_fraction: float = 0.0, **asked: Any) -> DatasetParts:
    fraction = None if "split" in asked else val_fraction
    return table_dataset([table], ColumnsAsked(**asked), images=images, val_fraction=fraction)


def captions(source: SampleSource) -> list[str]:
    return [source[k].caption for k in range(len(source))]


def test_a_packed_table_has_images_captions_and_the_other_columns(photos: Path, tmp_path: Path) -> None:
    rows = [{"file_name": f"p{k}.png", "text": f"photo {k}", "license": "CC0"} for k in range(20)]
    result = pack_dataset(tmp_path / "out", make(write_lines(photos / "t.jsonl", rows)))
    assert result["counts"] == {"train": 20}
    assert result["columns"] == {"image": "file_name", "captions": {"text": "text"}}
    index = ShardIndex.load(tmp_path / "out" / "train")
    row = index[3]
    with index.shard_path(0).open("rb") as file:
        assert read_member(file.fileno(), row.image) == (photos / "p3.png").read_bytes()
        record = json.loads(read_member(file.fileno(), row.meta) or b"")
    assert record == {
        **{"file_name": "p3.png", "license": "CC0", "key": row.key, "caption": "photo 3"},
        **{"width": 13, "height": 8},
    }


def test_several_captions_go_into_the_json_and_the_first_is_the_main_one(photos: Path) -> None:
    rows = [
        {"path": "p0.png", "short": "a", "long": ["b", "c\u0000", None]},
        {"path": "p1.png", "short": " ", "long": []},
        {"path": "p2.png", "short": None, "long": ["only long"]},
    ]
    parts = make(write_lines(photos / "t.jsonl", rows), captions=("short", "long"))
    source = parts.splits["train"]
    assert source[0].caption == "a"
    assert source[0].metadata == {"path": "p0.png", "captions": {"short": "a", "long": ["b", "c"]}}
    assert (source[2].caption, source[2].metadata) == (
        "only long",
        {"path": "p2.png", "captions": {"long": "only long"}},
    )
    with pytest.raises(BrokenSampleError, match=r"t\.jsonl row 2: no caption in short, long"):
        source[1]


def test_the_official_format_is_recognised_with_short_captions_where_there_are_some(photos: Path) -> None:
    official = {"h_div_w": 0.8, "long_caption": "long words", "long_caption_type": "InternVL"}
    rows = [
        {"image_path": str(photos / "p0.png"), **official, "text": "short", "short_caption_type": "alt"},
        {"image_path": str(photos / "p1.png"), **official},
    ]
    tables = [write_lines(photos / f"{ratio}_1.jsonl", [row]) for ratio, row in zip("ab", rows, strict=True)]
    parts = table_dataset(tables[::-1], ColumnsAsked(), val_fraction=0.0)
    assert parts.description["kind"] == "official jsonl"
    samples = [parts.splits["train"][k] for k in (1, 0)]
    assert [sample.caption for sample in samples] == ["long words", "long words"]
    assert samples[0].metadata["captions"] == {"long": "long words", "short": "short"}
    assert samples[1].metadata["captions"] == {"long": "long words"}
    assert samples[1].metadata["long_caption_type"] == "InternVL"
    assert len({sample.key for sample in samples}) == 2


def test_parquet_with_images_inside(photos: Path, tmp_path: Path) -> None:
    data = [(photos / f"p{k}.png").read_bytes() for k in range(6)]
    structs = [{"bytes": one, "path": f"p{k}.png"} for k, one in enumerate(data)]
    for name, column in (("raw", data), ("structs", structs)):
        table = pa.table({"image": column, "caption": list("abcdef"), "seen": [None, *range(5)]})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=4)
        source = make(tmp_path / f"{name}.parquet").splits["train"]
        assert [source[k].image for k in range(6)] == data
        assert captions(source) == list("abcdef")
        assert (source[0].metadata, source[5].metadata) == ({}, {"seen": 4})


def test_a_column_can_name_the_splits_and_another_the_keys(photos: Path) -> None:
    rows = [
        {"image": "p0.png", "caption": "a", "part": "train", "id": "x.1"},
        {"image": "p1.png", "caption": "b", "part": "validation", "id": "x.2"},
        {"image": "p2.png", "caption": "c", "part": "test", "id": 7},
    ]
    parts = make(write_lines(photos / "t.jsonl", rows), key="id", split="part")
    assert {split: source[0].key for split, source in parts.splits.items()} == {
        **{"train": "x_1", "val": "x_2", "test": "7"}
    }


def test_a_row_without_a_split_is_left_out_and_makes_none_of_its_own(photos: Path, tmp_path: Path) -> None:
    (photos / "t.csv").write_text("image,caption,part\np1.png\np0.png,a,test\np2.png,c,\n")
    result = pack_dataset(tmp_path / "out", make(photos / "t.csv", split="part"), max_left_out=1.0)
    assert result["counts"] == {"test": 1}
    assert result["left_out"]["test"][1] == "t.csv row 3: no split in the column part"


def test_a_table_without_rows_is_refused(photos: Path) -> None:
    (photos / "t.csv").write_text("image,caption,part\n")
    with pytest.raises(ValueError, match=r"there are no rows of t\.csv"):
        make(photos / "t.csv", split="part")


def test_rows_without_a_key_are_left_out(photos: Path) -> None:
    rows = [{"image": f"p{k}.png", "caption": "a", "id": key} for k, key in enumerate(("x", None, "", None))]
    source = make(write_lines(photos / "t.jsonl", rows), key="id").splits["train"]
    assert source[0].key == "x"
    for number in (1, 2, 3):
        with pytest.raises(BrokenSampleError, match="no key in the column id"):
            source[number]


def test_the_held_out_part_depends_on_the_images_names_alone(photos: Path, tmp_path: Path) -> None:
    rows = [{"image": f"p{k}.png", "caption": f"{k}"} for k in range(20)]
    held_out = make(write_lines(photos / "t.jsonl", rows), val_fraction=0.3).splits["val"]
    later = write_lines(tmp_path / "later.jsonl", [{"image": "new.png", "caption": "new"}, *rows[::-1]])
    again = captions(make(later, photos, val_fraction=0.3).splits["val"].part(0, 99))  # type: ignore[attr-defined]
    assert set(captions(held_out)) == set(again) - {"new"}
    assert 0 < len(held_out) < 20


def test_what_can_not_be_used_is_named_by_table_row_and_image(photos: Path, tmp_path: Path) -> None:
    (photos / "torn.png").write_bytes(encoded()[:20])
    (photos / "text.png").write_text("no image")
    (photos / "folder.png").mkdir()
    names = ["p0.png", "gone.png", "torn.png", "text.png", "folder.png", "", "p1.png"]
    table = photos / "t.csv"
    table.write_text("image,caption\n" + "".join(f"{name},words\n" for name in names) + "p2.png\n")
    result = pack_dataset(tmp_path / "out", make(table), max_left_out=1.0)
    assert result["counts"] == {"train": 2}
    assert result["left_out"]["train"] == [
        "t.csv row 2: gone.png: there is no such file",
        "t.csv row 3: torn.png: unreadable image header (OSError)",
        "t.csv row 4: text.png: neither a PNG, nor a JPEG, nor a WebP file",
        "t.csv row 5: folder.png: there is no such file",
        "t.csv row 6: no image in the column image",
        "t.csv row 8: 1 values where the table has 2 columns",
    ]


@pytest.mark.parametrize(
    ("rows", "asked", "message"),
    [
        ([{"url": "https://x/a.png", "caption": "a"}], {}, "column url of t.jsonl holds URLs.*img2dataset"),
        ([{"image": "https://x/a.png", "text": "a"}], {}, "--url_col image --caption_col text"),
        (
            [{"number": 3, "caption": "a"}],
            {},
            "which column names the images.*has the columns number, caption",
        ),
        ([{"image": "p0.png", "title": "a"}], {}, "which column holds the captions.*columns image, title"),
        ([{"image": "p0.png", "text": "a"}], {"captions": ("txet",)}, "there is no column 'txet'"),
        (
            [{"image": "p0.png", "text": "a", "id": k} for k in (1, 2, 1)],
            {"key": "id"},
            "column id repeats 1 of its 3 values",
        ),
        ([{"image": "p0.png", "text": "a", "s": "../x"}], {"split": "s"}, r"row 1 of t.jsonl has '../x'"),
        (
            [{"image": "p0.png", "text": "a", "s": f"s{k}"} for k in range(9)],
            {"split": "s"},
            "more than 8 different values",
        ),
    ],
)
def test_refusals_say_what_to_do(
    rows: Rows, asked: dict[str, Any], message: str, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        make(write_lines(photos / "t.jsonl", rows), **asked)


def test_tables_of_one_data_set_need_the_same_columns(photos: Path) -> None:
    tables = [
        write_lines(photos / "a.jsonl", [{"image": "p0.png", "text": "a"}]),
        write_lines(photos / "b.jsonl", [{"picture": "p1.png", "text": "b"}]),
    ]
    with pytest.raises(ValueError, match=r"b\.jsonl lacks the columns \['image'\] of a\.jsonl"):
        table_dataset(tables, ColumnsAsked(), val_fraction=0.0)


def test_files_that_are_named_by_splits_are_splits(photos: Path) -> None:
    names = ["train-0.jsonl", "train-1.jsonl", "validation-0.jsonl", "test-0.jsonl"]
    tables = [
        write_lines(photos / name, [{"image": f"p{k}.png", "text": name}]) for k, name in enumerate(names)
    ]
    parts = table_dataset(tables, ColumnsAsked())
    found = {split: captions(source) for split, source in parts.splits.items()}
    assert found == {"train": names[:2], "val": names[2:3], "test": names[3:]}
    with pytest.raises(ValueError, match=r"names as train-0\.jsonl and val_fraction both say how to divide"):
        table_dataset(tables, ColumnsAsked(), val_fraction=0.1)
    assert list(table_dataset(tables[:2], ColumnsAsked(), val_fraction=0.0).splits) == ["train"]


def test_a_job_of_a_long_table_is_small(photos: Path) -> None:
    import pickle

    rows = [{"image": f"p{k % 20}.png", "text": "x" * 50} for k in range(5000)]
    source = make(write_lines(photos / "t.jsonl", rows)).splits["train"]
    part = source.part(4000, 4100)  # type: ignore[attr-defined]
    assert len(pickle.dumps(part)) < 5000
    assert part[1].key == source[4001].key


def test_larger_images_can_be_made_smaller(photos: Path) -> None:
    (photos / "big.jpg").write_bytes(encoded((200, 100), "JPEG"))
    table = write_lines(
        photos / "t.jsonl", [{"image": "p0.png", "text": "a"}, {"image": "big.jpg", "text": "b"}]
    )
    source = table_dataset([table], ColumnsAsked(), val_fraction=0.0, max_side=50).splits["train"]
    assert source[0].image == (photos / "p0.png").read_bytes()
    assert (source[1].extension, source[1].width, source[1].height) == ("jpg", 50, 25)
    assert Image.open(io.BytesIO(source[1].image)).size == (50, 25)
