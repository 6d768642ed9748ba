"""Two hundred mutants of a data set: nothing crashes, nothing hangs, no sample is lost in silence.

A mutant is refused in one sentence that names what is damaged, or it is read; then every sample is there, or
is counted with its key and a cause.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.index import ShardIndex
from datamodules.indexing import index_directory
from datamodules.module import ImageTextDataModule
from datamodules.stream import BrokenDataError
from infinity.schedules import Resolution
from tests.datamodules.conftest import write_tar

FORMATS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}
KEYS = [f"picture-{number:02}" for number in range(12)]
RESOLUTION = Resolution(stride=8, sides=(1, 2), aspect_ratios=(1.0,))
MUTANTS_PER_TARGET = 30
PIECES = (1, 16, 512, 1024)  # 512 is the unit of a tar file

Mutate = Callable[[bytes, random.Random], bytes]


def flipped(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 8, 64))):
        mutant[place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(mutant)


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: place(data, rng)]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    start, stop = piece(data, rng)
    return data[:start] + bytes(stop - start) + data[stop:]


def dropped(data: bytes, rng: random.Random) -> bytes:
    start, stop = piece(data, rng)
    return data[:start] + data[stop:]


def duplicated(data: bytes, rng: random.Random) -> bytes:
    start, stop = piece(data, rng)
    return data[:stop] + data[start:stop] + data[stop:]


def swapped(data: bytes, rng: random.Random) -> bytes:
    """Two pieces in each other's place."""
    start, stop = piece(data, rng)
    other = place(data, rng, stop - start)
    mutant = bytearray(data)
    mutant[start:stop] = data[other : other + stop - start]
    mutant[other : other + stop - start] = data[start:stop]
    return bytes(mutant)


def shuffled(data: bytes, rng: random.Random) -> bytes:
    """The bytes of one piece in another order: a tar header's checksum stays right."""
    start, stop = piece(data, rng)
    return data[:start] + bytes(rng.sample(data[start:stop], stop - start)) + data[stop:]


def piece(data: bytes, rng: random.Random) -> tuple[int, int]:
    size = min(rng.choice(PIECES), len(data))
    start = place(data, rng, size)
    return start, start + size


def place(data: bytes, rng: random.Random, size: int = 1) -> int:
    """Where something is, not a tar's padding; a large piece starts where a file in a tar can."""
    found = rng.choice([number for number, byte in enumerate(data) if byte] or [0])
    return min(found // min(size, 512) * min(size, 512), len(data) - size)


MUTATIONS: tuple[Mutate, ...] = (flipped, truncated, zeroed, dropped, duplicated, swapped, shuffled)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve small pictures of three formats in two indexed shards."""
    directory = tmp_path_factory.mktemp("fuzz") / "train"
    directory.mkdir()
    rng = np.random.default_rng(0)
    for shard, keys in enumerate((KEYS[:6], KEYS[6:])):
        files = {}
        for number, key in enumerate(keys):
            extension = list(FORMATS)[number % 3]
            coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
            buffer = io.BytesIO()
            coarse.resize((18 + number, 20)).save(buffer, FORMATS[extension])
            files[f"{key}.{extension}"] = buffer.getvalue()
            if number % 4:  # some have both, some one of them
                files[f"{key}.txt"] = f"picture number {number}".encode()
            if number % 4 != 1:
                files[f"{key}.json"] = json.dumps({"caption": f"picture {number}", "no": number}).encode()
        write_tar(directory / f"{shard:05}.tar", files)
    index_directory(directory)
    return directory.parent


def mutate_file(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.choice(MUTATIONS)(path.read_bytes(), rng))


def mutate_shard(split: Path, rng: random.Random) -> None:
    mutate_file(rng.choice(sorted(split.glob("*.tar"))), rng)
    index_directory(split)


def mutate_shard_under_its_index(split: Path, rng: random.Random) -> None:
    mutate_file(rng.choice(sorted(split.glob("*.tar"))), rng)


def mutate_index(split: Path, rng: random.Random) -> None:
    mutate_file(rng.choice(sorted(path for path in split.rglob("*") if path.name.startswith("index"))), rng)


def mutate_member(split: Path, rng: random.Random, *extensions: str) -> None:
    """Damage one file before it is packed: the tar itself is sound."""
    shard = rng.choice(sorted(split.glob("*.tar")))
    with tarfile.open(shard) as tar:
        files = {info.name: (tar.extractfile(info) or io.BytesIO()).read() for info in tar}
    name = rng.choice([name for name in files if name.endswith(extensions)])
    files[name] = rng.choice(MUTATIONS)(files[name], rng)
    write_tar(shard, files)
    index_directory(split)


def mutate_image(split: Path, rng: random.Random) -> None:
    mutate_member(split, rng, *FORMATS)


def mutate_sidecar(split: Path, rng: random.Random) -> None:
    mutate_member(split, rng, "txt", "json")


TARGETS = {
    "shard": mutate_shard,
    "image": mutate_image,
    "sidecar": mutate_sidecar,
    "index": mutate_index,
    "index too large to be summed": mutate_index,
    "shard under its index": mutate_shard_under_its_index,
    "shard after the start": mutate_shard_under_its_index,
}


def module_of(root: Path, max_bad_fraction: float) -> ImageTextDataModule:
    return ImageTextDataModule(
        str(root), RESOLUTION, 3, val_split="train", max_bad_fraction=max_bad_fraction, max_pixels=2**16
    )


def accounted(
    root: Path, caplog: pytest.LogCaptureFixture, after_start: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """What became of every sample, by key: read, or the cause of its loss."""
    index = ShardIndex.load(root / "train")
    fates = dict(index.left_out)
    module = module_of(root, max_bad_fraction=1.0)
    module.setup("fit")
    after_start()
    for batch in module.train_dataloader():
        assert batch.images_B3HW.isfinite().all()
    caplog.clear()
    stream = module.val_dataloader()
    read = [key for batch in stream for key in batch.keys]
    assert len(read) + stream.faults.num_broken >= len(index)  # a batch of broken ones gets a substitute
    fates |= dict.fromkeys(read, "read")
    for record in caplog.records:
        if named := re.search(r"sample (.+?) is skipped: (.+)", record.getMessage()):
            fates[named[1]] = named[2]
    return fates


@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore:divide by zero")  # sizes of 0 in a damaged index
@pytest.mark.parametrize("number", range(MUTANTS_PER_TARGET))
@pytest.mark.parametrize("target", TARGETS)
def test_a_mutant_is_refused_or_read_with_every_loss_counted(
    pictures: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    number: int,
) -> None:
    if target == "index too large to be summed":
        monkeypatch.setattr("datamodules.index._MAX_SUMMED_BYTES", 0)
    root = Path(shutil.copytree(pictures, tmp_path / "data"))

    def mutate() -> None:
        TARGETS[target](root / "train", random.Random(f"{target} {number}"))

    try:
        if target == "shard after the start":
            fates = accounted(root, caplog, mutate)
        else:
            mutate()
            fates = accounted(root, caplog)
    except (ValueError, OSError) as error:
        refusal = str(error)
    else:
        refusal = f"nothing of {root / 'train'}"
        assert all(fates.values())
        if target != "index too large to be summed":  # keys can be damaged there
            assert fates.keys() >= set(KEYS)
    assert str(root / "train") in refusal
    assert "\n" not in refusal


def test_the_sound_data_set_is_read_whole(pictures: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert accounted(pictures, caplog) == dict.fromkeys(KEYS, "read")


def test_too_many_mutants_in_a_data_set_stop_the_run_with_a_summary(
    pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, rng = Path(shutil.copytree(pictures, tmp_path / "data")), random.Random(0)
    index = ShardIndex.load(root / "train")
    for row in (index[number] for number in range(6)):
        path = index.shard_path(row.shard)
        data = path.read_bytes()
        middle = slice(row.image.start + row.image.num_bytes // 8, row.image.start + row.image.num_bytes)
        path.write_bytes(
            data[: middle.start] + rng.randbytes(middle.stop - middle.start) + data[middle.stop :]
        )
    module = module_of(root, max_bad_fraction=0.1)
    with pytest.raises(
        BrokenDataError, match=r"\d of \d+ train samples read are broken.*max_bad_fraction = 0\.1.*undecod"
    ):
        list(module.val_dataloader())
    assert "picture-00 is skipped: " in caplog.text
