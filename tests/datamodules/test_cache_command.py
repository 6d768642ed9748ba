"""The command that makes caches: what it takes, what it leaves out, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from datamodules.__main__ import main
from datamodules.module import ImageTextDataModule
from infinity.text import HashingTextEncoder
from tests.datamodules.caches import SHAPE, TEXT, cache, text_option, write_tokenizer
from tests.datamodules.conftest import RESOLUTION, MakeModule
from tests.datamodules.folders import contents
from tests.datamodules.http_server import serve
from tests.datamodules.test_faults import damage


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("vae"))


def test_all_captions_of_the_named_kinds_are_cached(captioned: Path) -> None:
    (directory,) = cache(captioned, text_option(), "--captions=long,short", "--text_dtype=bfloat16")
    weights = {"long": 0.5, "short": 0.5}
    module = ImageTextDataModule(str(captioned), RESOLUTION, 2, captions=weights, caches=(directory,))
    drawn = set()
    for _ in range(6):
        for batch in module.train_dataloader():
            drawn.update(batch.captions)
            expected = HashingTextEncoder(TEXT).encode(batch.captions).states_BME.bfloat16()
            assert torch.equal(batch.text.states_BME, expected)
    assert {caption.split()[0] for caption in drawn} >= {"short", "long", "longer"}
    stream = module.val_dataloader()
    seen = [caption for batch in stream for caption in batch.captions]
    assert sorted(seen) == sorted(["main 0", *(f"long {k}" for k in range(1, 12))])
    assert stream.faults.missing_captions == {"long": 1}


def test_the_bound_of_images_is_a_part_of_what_a_cache_is(
    root: Path, tokenizer: Path, make_module: MakeModule, capsys: pytest.CaptureFixture[str]
) -> None:
    (small,) = cache(root, f"--vae={tokenizer}", "--max_pixels=1000")
    assert "train: 69 samples" in capsys.readouterr().out
    assert main(["cache", str(root), f"--vae={tokenizer}", *SHAPE, "--max_pixels=9"]) == 1
    told = capsys.readouterr().err
    assert "none of 101 samples can be cached (train-00000000: " in told
    assert "is more than max_pixels = 9; train-00000001" in told
    assert len(cache(root, f"--vae={tokenizer}")) == 3
    assert "train: 101 samples" in capsys.readouterr().out
    with pytest.raises(
        ValueError, match="was made with max_pixels = 1000, but this run has 67108864; make it"
    ):
        make_module(root, caches=(small,)).setup("fit")


def test_an_unreadable_image_is_left_out_named_and_replaced_in_training(
    root: Path, tokenizer: Path, make_module: MakeModule, capsys: pytest.CaptureFixture[str]
) -> None:
    damage(root, "train", "train-00000017")
    caches = cache(root, f"--vae={tokenizer}")
    told = capsys.readouterr()
    assert "train: 100 samples, val: 23 samples" in told.out
    assert "left out of train: train-00000017: undecodable image" in told.err
    assert cache(root, f"--vae={tokenizer}") == caches
    assert "left out of train: train-00000017: undecodable image" in capsys.readouterr().err
    cache(root, f"--vae={tokenizer}", "--part=1/9")
    assert "left out of train: train-00000017: undecodable image" in capsys.readouterr().err
    stream = make_module(root, caches=tuple(caches), max_bad_fraction=0.1).train_dataloader()
    plain = make_module(root, max_bad_fraction=0.1).train_dataloader()
    for ours, theirs in zip(stream, plain, strict=True):
        assert ours.keys == theirs.keys
    assert stream.faults.num_broken == plain.faults.num_broken == 1
    assert "not in the cache" in next(iter(stream.faults.causes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing to cache; name a tokenizer with --vae"),
        (["--vae=VAE", "--resolution.stride=16", "--resolution.sides=[1,2]"], "set it to 8"),
        (["--text={kind: hashing}", "--part=0/2"], "part must be K/N with K from 1 to N, got 0/2"),
        (["--text={kind: hashing}", "--captions=[]"], "captions must name kinds, as long,short, got []"),
        (["--text={kind: hashing}", "--captions={long: 1}"], "captions must name kinds, as long,short, got"),
        (
            ["--text={kind: hashing}", "--out=s3://bucket/caches"],
            "only a folder of this machine can be written",
        ),
        (["--text={kind: ngram}"], "TextEncoderConfig.kind must be 'hashing' or 'huggingface'"),
        (["--text={kind: hashing}", "--device=gpu"], "the device 'gpu' cannot be used here"),
    ],
)
def test_what_the_command_cannot_do_is_told_in_a_sentence(
    options: list[str], message: str, shared_root: Path, tokenizer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [option.replace("VAE", str(tokenizer)) for option in options]
    assert main(["cache", str(shared_root), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_a_shard_that_changed_under_its_index_is_not_cached(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (root / "val" / "00000.tar").open("ab") as shard:
        shard.write(bytes(512))
    assert main(["cache", str(root), text_option()]) == 1
    assert re.search(
        r"shard .*val/00000\.tar has \d+ bytes, but \d+ when it was indexed", capsys.readouterr().err
    )
    assert not (root / "caches").exists()


def test_data_at_a_url_is_cached_on_this_machine_and_a_failing_server_stops_that(
    captioned: Path,
    tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datamodules.storage._FIRST_PAUSE_S", 0.001)
    cache(captioned, f"--vae={tokenizer}", text_option())
    with serve(captioned) as server:
        there = ["cache", server.url, f"--vae={tokenizer}", text_option(), *SHAPE]
        assert main(there) == 1
        assert "say by --out where on this machine the caches of http://127" in capsys.readouterr().err
        assert main([*there, f"--out={tmp_path / 'one'}"]) == 0
        server.gets.clear()
        assert main([*there, f"--out={tmp_path / 'one'}"]) == 0  # finds all done
        server.failing = range(len(server.gets), 9999)
        server.gets.clear()
        assert main([*there, f"--out={tmp_path / 'two'}"]) == 1
        assert re.search(r"error: http://127\S+/00000\.tar failed \(", capsys.readouterr().err)
        server.failing = range(0)
        assert main([*there, f"--out={tmp_path / 'two'}"]) == 0
    assert "left out" not in capsys.readouterr().err
    local = contents(captioned / "caches")
    assert len(local) == 4 * 5
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == local
