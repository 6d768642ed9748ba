from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from datamodules.__main__ import main
from datamodules.index import ShardIndex
from datamodules.module import ImageTextDataModule
from datamodules.user_data import recognise
from infinity.schedules import Resolution
from tests.datamodules.conftest import write_tar
from tests.datamodules.folders import contents
from tests.datamodules.http_server import serve
from tests.static.project import ROOT

ONE = "--num_workers=1"


def png(width: int = 9) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((width, 8), 50).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 images, their captions beside them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(40):
        (folder / f"p{k}.png").write_bytes(png(8 + k % 3))
        (folder / f"p{k}.txt").write_text(f"photo {k}")
    return folder


@pytest.fixture
def table(photos: Path, tmp_path: Path) -> Path:
    """The same images in a CSV table elsewhere, and a row too many."""
    path = tmp_path / "photos.csv"
    rows = "".join(f"p{k}.png,photo {k}\n" for k in range(40))
    path.write_text(f"file_name,caption\n{rows}gone.png,words\n")
    return path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Two foreign shards."""
    folder = tmp_path / "cc3m"
    folder.mkdir()
    for number in range(2):
        files = {f"{number}{k:03d}.{e}": d for k in range(8) for e, d in (("png", png()), ("txt", b"words"))}
        write_tar(folder / f"{number:05d}.tar", files)
        (folder / f"{number:05d}.parquet").write_bytes(b"of img2dataset")
    return folder


def error(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a mistake."""
    capsys.readouterr()
    assert main(["pack", *map(str, arguments)]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


def test_a_table_is_recognised_and_what_is_left_out_is_named(
    table: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["pack", str(table), str(tmp_path / "out"), f"--images={photos}", "--val_fraction=0.1", ONE]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert f"{table} is a table\ncolumns: image = file_name, caption = caption; the others" in captured.err
    assert "left out of train: photos.csv row 41: gone.png: there is no such file" in captured.err
    made = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert captured.out == f"train: {made['counts']['train']} samples, val: {made['counts']['val']} samples\n"
    assert sum(made["counts"].values()) == 40
    before = contents(tmp_path / "out")
    assert main(arguments) == 0  # complete already
    assert contents(tmp_path / "out") == before


def test_a_packed_table_is_trained_on(table: Path, photos: Path, tmp_path: Path) -> None:
    main(["pack", str(table), str(tmp_path / "out"), f"--images={photos}", "--val_fraction=0.2", ONE])
    resolution = Resolution(stride=4, sides=(1, 2), aspect_ratios=(1.0,))
    module = ImageTextDataModule(str(tmp_path / "out"), resolution, batch_size=4)
    batch = next(iter(module.train_dataloader()))
    assert batch.images_B3HW.shape == (4, 3, 8, 8)
    assert all(caption.startswith("photo ") for caption in batch.captions)


def test_three_processes_write_the_same_bytes_as_one(table: Path, photos: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        out = tmp_path / f"out{workers}"
        options = [f"--images={photos}", "--samples_per_shard=14", "--val_fraction=0.1"]
        assert main(["pack", str(table), str(out), *options, f"--num_workers={workers}"]) == 0
    assert contents(tmp_path / "out1") == contents(tmp_path / "out3")
    assert len(list((tmp_path / "out1" / "train").glob("*.tar"))) == 3


def test_a_killed_process_is_gone_on_with(table: Path, photos: Path, tmp_path: Path) -> None:
    options = [f"--images={photos}", "--samples_per_shard=1", "--val_fraction=0", ONE]
    assert main(["pack", str(table), str(tmp_path / "straight"), *options]) == 0
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "datamodules", "pack", str(table), str(out), *options]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while len(list(out.glob("train/*.tar"))) < 3 and process.poll() is None:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not json.loads((out / "dataset.json").read_text())["complete"]
    (out / "train" / ".00099.tar.1.tmp").write_text("of a killed process")
    assert main(["pack", str(table), str(out), *options]) == 0
    assert contents(out) == contents(tmp_path / "straight")


def test_a_dry_run_tells_and_writes_nothing(
    table: Path, photos: Path, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(tmp_path)
    options = ["--dry-run", "--val_fraction=0.1", ONE]
    of_table = [f"--images={photos}", "--samples_per_shard=9"]
    assert main(["pack", str(table), str(tmp_path / "o"), *of_table, *options]) == 0
    told = capsys.readouterr().out
    assert "train: 3" in told
    assert " samples, 5 shards, about 0.1" in told
    assert "  p0-1: 8x8 png, 'photo 0'" in told
    assert main(["pack", str(photos), str(tmp_path / "o"), *options]) == 0
    assert "8x8 png, 'photo" in capsys.readouterr().out
    assert main(["pack", str(shards), str(tmp_path / "o"), *options]) == 0
    told = capsys.readouterr().out
    assert "train and val (0.1 of it): 2 shards, 0.0" in told
    assert "00000.tar has 8 samples, the first of 9x8" in told
    assert contents(tmp_path) == before


def test_shards_are_indexed_where_they_lie(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(shards)
    assert main(["pack", str(shards), str(tmp_path / "all"), "--val_fraction=0", ONE]) == 0
    assert capsys.readouterr().out == "train: 16 samples\n"
    assert main(["pack", str(shards), str(tmp_path / "parts"), "--val_fraction=0.4", ONE]) == 0
    parts = [ShardIndex.load(tmp_path / "parts" / split) for split in ("train", "val")]
    keys = [{index[k].key for k in range(len(index))} for index in parts]
    assert not keys[0] & keys[1]
    assert len(keys[0] | keys[1]) == 16
    assert parts[0].shard_path(1).resolve() == shards / "00001.tar"
    assert contents(shards) == before
    assert list((tmp_path / "parts").rglob("*.tar")) == []


def test_shards_that_stopped_the_command_can_be_fetched_again(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = (shards / "00001.tar").read_bytes()
    (shards / "00001.tar").write_bytes(whole[:2000])
    arguments = [shards, tmp_path / "out", "--val_fraction=0", ONE]
    assert "00001.tar is no complete tar file" in error(arguments, capsys)
    (shards / "00001.tar").write_bytes(whole)
    assert len(list((tmp_path / "out").rglob("*.npz"))) == 1  # the other one isn't scanned again
    assert main(["pack", *map(str, arguments)]) == 0
    assert "train: 16 samples" in capsys.readouterr().out
    (shards / "00001.tar").write_bytes(whole + bytes(512))
    assert "out holds another data set (shards: " in error(arguments, capsys)


def test_all_damaged_shards_are_named_at_once(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for shard in shards.iterdir():
        shard.write_bytes(shard.read_bytes()[:2000])
    told = error([shards, tmp_path / "out", "--val_fraction=0", ONE], capsys)
    assert "00000.tar is no complete tar file" in told
    assert "and so are 1 more: " in told
    assert told.count("00001.tar is no complete tar file") == 1


@pytest.mark.parametrize("option", ["--max_left_out=7", "--num_workers=0"])
def test_numbers_out_of_range_are_refused(
    option: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["pack", str(photos), str(tmp_path / "out"), option])
    assert f'"{option.lstrip("-").partition("=")[0]}"' in capsys.readouterr().err


def test_a_subfolder_of_shards_is_a_split(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for split in ("train", "test"):
        shards.rename(tmp_path / "in" / split)
        shards.mkdir()
        write_tar(shards / "00000.tar", {"a.png": png(), "a.json": b'{"caption": "words"}'})
    assert main(["pack", str(tmp_path / "in"), str(tmp_path / "out"), ONE]) == 0
    assert json.loads((tmp_path / "out" / "dataset.json").read_text())["counts"] == {"test": 1, "train": 16}


def test_shards_at_a_url_are_indexed_and_read_there(shards: Path, tmp_path: Path) -> None:
    with serve(shards.parent) as server:
        assert main(["pack", f"{server.url}/cc3m", str(tmp_path / "out"), "--val_fraction=0.4", ONE]) == 0
        index = ShardIndex.load(tmp_path / "out" / "val")
        index.verify()
        assert index.location(0) == f"{server.url}/cc3m/00000.tar"


def test_images_in_a_hidden_folder_beside_a_table_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "p0.png").write_bytes(png())
    (tmp_path / "photos.csv").touch()
    assert recognise(str(tmp_path)).kind == "table"


def test_a_folder_with_several_kinds_is_taken_for_what_is_said(
    photos: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.rename(photos / "metadata.csv")
    out = tmp_path / "out"
    message = error([photos, out], capsys)
    assert "holds table (metadata.csv) and folder (p" in message
    assert "say --kind table|folder" in message
    assert main(["pack", str(photos), str(out), "--kind=table", "--val_fraction=0", ONE]) == 0
    assert json.loads((out / "dataset.json").read_text())["kind"] == "table"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["IN/none", "OUT"], "there is no "),
        (["IN/p0.png", "OUT"], "p0.png can't be packed as it is; expected a folder or a table (.csv, "),
        (["IN/a.json", "OUT"], "write one JSON object a line, as .jsonl"),
        (["IN/a.tar", "OUT"], "name the folder that the shards lie in"),
        (["s3://bucket/cc3m", "OUT", "--kind=table"], "is a URL, where only shards can be"),
        (["IN", "OUT", "--kind=table"], "no table (.csv, .tsv, "),
        (["ZIPPED", "OUT"], "compressed ones must be unpacked first"),
        (["IN", "OUT", "--kind=shards"], "no .tar shards in"),
        (["IN", "OUT", "--caption", "text"], "--caption means nothing for"),
        (["IN/deep", "OUT", "--val_fraction=0.5"], "val_fraction divides one folder of shards"),
        (["TABLE", "OUT", "--split_column=caption", "--val_fraction=0.1"], "both say how to divide"),
        (["TABLE", "OUT", "--val_fraction=1"], "val_fraction must be in [0, 1), got 1.0"),
        (["TABLE", "OUT", "--ray_address=auto"], "--ray_address needs --engine ray"),
        (["TABLE", "s3://bucket/out"], "s3://bucket/out is a URL, but only a folder of this machine can be"),
        (["TABLE", "OUT", "--max_side=0"], "max_side must be at least 1, got 0"),
        (["TABLE", "OUT", "--val_fraction=0"], "none of 14 samples of train that were tried is usable: "),
        (["TABLE", "OUT", "--images=IN", "--val_fraction=0", "--max_left_out=0"], "1 of 41 samples are un"),
    ],
)
def test_mistakes_are_one_sentence(
    arguments: list[str],
    message: str,
    photos: Path,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photos / "deep" / "train").mkdir(parents=True)
    write_tar(photos / "deep" / "train" / "00000.tar", {"a.png": png(), "a.txt": b"words"})
    if "a.json" in arguments[0] or "a.tar" in arguments[0]:
        (photos / Path(arguments[0]).name).write_text("{}")
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "0.tar.bz2").touch()
    places = {"IN": photos, "OUT": tmp_path / "out", "TABLE": table, "ZIPPED": tmp_path / "zipped"}
    for name, place in places.items():
        arguments = [argument.replace(name, str(place)) for argument in arguments]
    assert message in error([*arguments, ONE], capsys)


def test_tables_of_several_formats_are_not_one_data_set(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tables"
    folder.mkdir()
    for name in ("a.csv", "b.jsonl", "._c.tsv"):
        (folder / name).write_text("image,text\n")
    assert "has tables of several formats (.csv, .jsonl); name one" in error([folder, tmp_path / "o"], capsys)
