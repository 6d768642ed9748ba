"""Caches hold exactly what the encoders give, survive kills, and are refused where they don't fit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from datamodules.__main__ import main
from datamodules.caching import SampleCache, check_encoders, vae_fingerprint
from datamodules.indexing import index_directory
from datamodules.mixture import DataSource
from datamodules.module import ImageTextDataModule
from infinity.checkpoints.io import load_vae, save_pretrained
from infinity.schedules import Resolution
from infinity.text import HashingTextEncoder
from tests.datamodules.caches import TEXT, cache, text_option, write_tokenizer
from tests.datamodules.conftest import RESOLUTION, MakeModule
from tests.datamodules.test_faults import damage


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="module")
def shared_cached(shared_root: Path, tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: a data set with caches of both contents; `cached` is a copy to damage."""
    root = Path(shutil.copytree(shared_root, tmp_path_factory.mktemp("cached") / "full"))
    cache(root, f"--vae={tokenizer}", text_option(), "--batch_size=4")
    return root


@pytest.fixture
def cached(shared_cached: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shared_cached, tmp_path / "cached"))


def caches_of(root: Path, content: str = "") -> tuple[str, ...]:
    return tuple(sorted(str(path) for path in (root / "caches").glob(f"{content}*")))


def test_training_gets_exactly_what_the_encoders_give_and_no_images(
    shared_cached: Path, make_module: MakeModule, tokenizer: Path
) -> None:
    vae, text = load_vae(tokenizer).for_inference(), HashingTextEncoder(TEXT)
    plain = make_module(shared_cached).train_dataloader()
    with_caches = make_module(shared_cached, caches=caches_of(shared_cached)).train_dataloader()
    for ours, theirs in zip(with_caches, plain, strict=True):
        assert ours.keys == theirs.keys
        assert ours.captions == theirs.captions
        assert ours.images_B3HW is None
        assert theirs.images_B3HW is not None
        assert torch.equal(ours.features_BDHW, vae.encode(theirs.images_B3HW))
        states = text.encode(theirs.captions)
        assert torch.equal(ours.text.states_BME, states.states_BME)
        assert torch.equal(ours.text.mask_BM, states.mask_BM)


def test_validation_gets_images_too(shared_cached: Path, make_module: MakeModule) -> None:
    module = make_module(shared_cached, caches=caches_of(shared_cached), num_workers=1)
    for batch in module.val_dataloader():
        assert batch.images_B3HW.shape[0] == batch.features_BDHW.shape[0] == len(batch.text.mask_BM)
    module.teardown()


def test_images_are_not_even_read_if_features_are_cached(cached: Path, make_module: MakeModule) -> None:
    damage(cached, "train", *(f"train-{k:08d}" for k in range(101)))
    module = make_module(cached, caches=caches_of(cached), max_bad_fraction=0.0)
    assert len(list(module.train_dataloader())) > 0


def test_a_replaced_sample_is_noticed_though_its_image_is_not_read(
    cached: Path, make_module: MakeModule
) -> None:
    stream = make_module(
        cached, caches=caches_of(cached, "features"), max_bad_fraction=0.1
    ).train_dataloader()
    row = stream.reader.index[next(iter(stream.requests)).samples[0]]
    with stream.reader.index.shard_path(row.shard).open("r+b") as file:
        file.seek(row.text.start - 512)
        file.write(b"another")
    assert len(next(iter(stream)).keys) == 4
    (cause,) = stream.faults.causes
    assert cause.startswith("its shard was changed after it was indexed in ")


def test_no_memory_is_shared_for_images_that_are_not_read(
    shared_cached: Path, make_module: MakeModule
) -> None:
    for content, shared in (("text", True), ("features", False)):
        module = make_module(shared_cached, caches=caches_of(shared_cached, content), num_workers=1)
        stream = module.train_dataloader()
        next(iter(stream))
        module.teardown()
        assert (stream.reader.slots is not None) == (shared and not torch.cuda.is_available())


def test_a_text_cache_alone_leaves_the_images(shared_cached: Path, make_module: MakeModule) -> None:
    batch = next(iter(make_module(shared_cached, caches=caches_of(shared_cached, "text")).train_dataloader()))
    assert batch.images_B3HW is not None
    assert batch.features_BDHW is None
    assert batch.text is not None


def test_a_kind_that_is_not_cached_is_refused(captioned: Path) -> None:
    (directory,) = cache(captioned, text_option(), "--captions=short")
    module = ImageTextDataModule(str(captioned), RESOLUTION, 2, captions={"long": 1}, caches=(directory,))
    with pytest.raises(
        ValueError, match="was made with captions of kind short, but this run has long; make it"
    ):
        module.setup("fit")


def test_a_cache_of_another_index_is_refused(cached: Path, make_module: MakeModule) -> None:
    shards = sorted((cached / "train").glob("*.tar"))
    shards[-1].unlink()
    index_directory(cached)
    with pytest.raises(
        ValueError, match=r"cache .*/train was made with the index \w+, but train now has \w+; make"
    ):
        make_module(cached, caches=caches_of(cached)).setup("fit")
    assert main(["cache", str(cached), text_option()]) == 1


def test_a_cache_of_other_image_sizes_is_refused(shared_cached: Path) -> None:
    other = Resolution(stride=8, sides=(1, 2, 3), aspect_ratios=RESOLUTION.aspect_ratios)
    module = ImageTextDataModule(str(shared_cached), other, 4, caches=caches_of(shared_cached))
    with pytest.raises(ValueError, match=r"was made with sizes = .*, but this run has"):
        module.setup("fit")


def test_a_cache_of_other_encoders_is_refused(
    shared_cached: Path, make_module: MakeModule, tokenizer: Path, tmp_path: Path
) -> None:
    module = make_module(shared_cached, caches=caches_of(shared_cached))
    module.setup("fit")
    vae, text = vae_fingerprint(tokenizer), HashingTextEncoder(TEXT).fingerprint
    check_encoders(module.caches, features=vae, text=text)
    other = load_vae(tokenizer)
    with torch.no_grad():
        other.encoder.conv_in.weight[0, 0, 0, 0] += 1
    save_pretrained(tmp_path / "other", other)
    with pytest.raises(
        ValueError, match=r"features-\w+/train was made with the encoder vae-.*model has vae-"
    ):
        check_encoders(module.caches, features=vae_fingerprint(tmp_path / "other"), text=text)
    with pytest.raises(ValueError, match=r"text-\w+/train was made with the encoder hashing-"):
        check_encoders(module.caches, features=vae, text="hashing-v2")


@pytest.mark.parametrize("part", ["cache.json", "places.npy", "00000.tar"])
def test_a_cache_without_one_of_its_files_is_refused(
    cached: Path, make_module: MakeModule, part: str
) -> None:
    (Path(caches_of(cached, "text")[0]) / "val" / part).unlink()
    with pytest.raises(ValueError, match=r"the cache .*/val can't be used \(.*\); make it again"):
        make_module(cached, caches=caches_of(cached)).setup("fit")


def test_a_changed_byte_in_a_side_shard_breaks_one_sample(cached: Path, make_module: MakeModule) -> None:
    directory = Path(caches_of(cached, "features")[0]) / "train"
    shard, _, start, num_bytes = SampleCache.load(directory).places[30].item()
    with (directory / f"{shard:05d}.tar").open("r+b") as file:
        file.seek(start + num_bytes - 1)
        last = file.read(1)[0]
        file.seek(start + num_bytes - 1)
        file.write(bytes([last ^ 1]))
    stream = make_module(cached, caches=caches_of(cached), max_bad_fraction=0.1).train_dataloader()
    while not stream.faults.num_broken:
        assert all(len(batch.keys) == 4 for batch in stream)
    assert stream.faults.num_broken == 1
    assert "damaged in the cache" in next(iter(stream.faults.causes))


def test_a_mixture_takes_the_caches_of_all_its_data_sets(shared_cached: Path, captioned: Path) -> None:
    (other,) = cache(captioned, text_option())
    mixture = (DataSource(root=str(captioned)), DataSource(root=str(shared_cached)))
    caches = (*caches_of(shared_cached, "text"), other)
    module = ImageTextDataModule("", RESOLUTION, 4, mixture=mixture, caches=caches)
    for batch in module.train_dataloader():
        assert torch.equal(batch.text.states_BME, HashingTextEncoder(TEXT).encode(batch.captions).states_BME)
    module = ImageTextDataModule("", RESOLUTION, 4, mixture=mixture, caches=caches[:1])
    with pytest.raises(ValueError, match=r"has text of other data sets, but none of .*captioned/train"):
        module.setup("fit")


def test_two_caches_of_one_content_are_refused(shared_cached: Path, make_module: MakeModule) -> None:
    text = caches_of(shared_cached, "text")
    with pytest.raises(ValueError, match="data.caches has text twice, in "):
        make_module(shared_cached, caches=(*text, *text)).setup("fit")


def test_caches_at_a_url_are_refused(make_module: MakeModule) -> None:
    module = make_module(caches=("https://host/caches/text-0",))
    with pytest.raises(ValueError, match="data.caches must be on this machine, got https://host"):
        module.setup("fit")


def test_a_mixture_with_a_data_set_that_has_no_such_split_takes_the_caches_of_the_others(
    shared_cached: Path, captioned: Path, tmp_path: Path
) -> None:
    shutil.rmtree(captioned / "val")
    (other,) = cache(captioned, text_option())
    mixture = (DataSource(root=str(captioned)), DataSource(root=str(shared_cached)))
    caches = (*caches_of(shared_cached, "text"), other)
    batch = next(
        iter(ImageTextDataModule("", RESOLUTION, 4, mixture=mixture, caches=caches).val_dataloader())
    )
    assert torch.equal(batch.text.states_BME, HashingTextEncoder(TEXT).encode(batch.captions).states_BME)


def test_a_split_that_was_not_cached_is_named(cached: Path, make_module: MakeModule) -> None:
    caches = caches_of(cached, "text")
    shutil.rmtree(Path(caches[0]) / "val")
    with pytest.raises(
        ValueError, match=r"data.caches has text of other data sets, but none of .*/val; make"
    ):
        make_module(cached, caches=caches).setup("fit")
