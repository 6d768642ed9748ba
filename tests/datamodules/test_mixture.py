"""Several data sets as one: weights, keys, and what is refused."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from pathlib import Path

import jsonargparse
import pytest
import yaml

from datamodules.mixture import DataSource, samples_per_epoch
from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from tests.datamodules.conftest import CONFIG, RESOLUTION, keys, on_rank

OTHER = ShapesWorldConfig(tier="basic", size=32, num_train=40, num_val=5, prompts_per_task=1)


@pytest.fixture(scope="module")
def other_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "other"
    pack_dataset(root, shapesworld_dataset(OTHER), samples_per_shard=9)
    return root


def mixed(*sources: tuple[Path, float | None], batch_size: int = 4, **options: object) -> ImageTextDataModule:
    mixture = tuple(DataSource(root=str(root), weight=weight) for root, weight in sources)
    return ImageTextDataModule("", RESOLUTION, batch_size, mixture=mixture, **options)  # type: ignore[arg-type]


def test_weights_are_shares_of_an_epoch() -> None:
    sources = [DataSource(root=root, weight=weight) for root, weight in (("a", 3), ("b", 1), ("c", 1))]
    assert samples_per_epoch(sources, [10, 10, 980]) == [600, 200, 200]
    assert samples_per_epoch([DataSource(root="a"), DataSource(root="b")], [3, 7]) == [3, 7]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0, None), "data.mixture gives r1 no weight; give one to every data set, or to none"),
        ((1.0, 1e-9), "the weight of r1 is so small that an epoch of 20 samples has none of it; raise it"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights: tuple[float | None, ...], message: str) -> None:
    sources = [DataSource(root=f"r{k}", weight=weight) for k, weight in enumerate(weights)]
    with pytest.raises(ValueError, match=message):
        samples_per_epoch(sources, [10, 10])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_must_be_positive(weight: float) -> None:
    with pytest.raises(ValueError, match="the weight of somewhere must be a positive number"):
        DataSource(root="somewhere", weight=weight)


def test_an_epoch_draws_the_data_sets_by_their_weights(shared_root: Path, other_root: Path) -> None:
    module = mixed((shared_root, 1.0), (other_root, 2.0))
    stream = module.train_dataloader()
    drawn = Counter(key.split("/")[0] for batch in stream for key in batch.keys)
    assert drawn["other"] / drawn.total() == pytest.approx(2 / 3, abs=0.05)
    assert drawn.total() == 4 * len(stream)


def test_without_weights_an_epoch_has_every_sample_once(shared_root: Path, other_root: Path) -> None:
    seen = [
        key
        for batch in mixed((shared_root, None), (other_root, None)).train_dataloader()
        for key in batch.keys
    ]
    assert len(set(seen)) == len(seen) > CONFIG.num_train + OTHER.num_train - 3 * 3


def test_a_mixture_is_the_same_on_all_ranks_and_goes_on_exactly(shared_root: Path, other_root: Path) -> None:
    sources = ((shared_root, 1.0), (other_root, 0.7))
    straight = keys(mixed(*sources, batch_size=8), 60)
    first = mixed(*sources, batch_size=8)
    keys(first, 23)
    parts = []
    for rank in range(2):
        module = on_rank(mixed(*sources), rank, 2)
        module.load_state_dict(first.state_dict())
        parts.append(keys(module, 60 - 23))
    assert [one + two for one, two in zip(*parts, strict=True)] == straight[23:]


def test_a_checkpoint_of_another_mixture_is_refused(shared_root: Path, other_root: Path) -> None:
    module = mixed((shared_root, 1.0), (other_root, 1.0))
    module.load_state_dict(mixed((shared_root, 1.0), (other_root, 2.0)).state_dict())
    with pytest.raises(
        ValueError, match=r"data order has samples_per_epoch = \[47, 94\], this run has \[70, 71\]"
    ):
        module.train_dataloader()


def test_validation_has_every_sample_of_every_data_set_once(shared_root: Path, other_root: Path) -> None:
    module = mixed((shared_root, 1.0), (other_root, 9.0))
    seen = [key for batch in module.val_dataloader() for key in batch.keys]
    expected = [f"full/val-{k:08d}" for k in range(CONFIG.num_val)]
    assert sorted(seen) == expected + [f"other/val-{k:08d}" for k in range(OTHER.num_val)]


def test_a_data_set_without_validation_samples_is_named(
    shared_root: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(root / "val")
    with caplog.at_level(logging.WARNING):
        seen = [
            key for batch in mixed((shared_root, 1.0), (root, 1.0)).val_dataloader() for key in batch.keys
        ]
    assert len(seen) == CONFIG.num_val
    assert f"val has no samples of {root}" in caplog.text
    with pytest.raises(ValueError, match=f"{root} has no split val, .*; name another by data.train_split"):
        mixed((root, 1.0)).val_dataloader()


def test_data_sets_of_the_same_name_keep_their_keys_apart(shared_root: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(shared_root, tmp_path / shared_root.name))
    seen = [
        key for batch in mixed((shared_root, None), (again, None)).train_dataloader() for key in batch.keys
    ]
    assert len(set(seen)) == len(seen) > CONFIG.num_train
    with pytest.raises(
        ValueError, match=f"data.mixture names {again} twice; name it once and raise its weight"
    ):
        mixed((again, 1.0), (again, 2.0)).train_dataloader()


def test_a_broken_sample_of_a_mixture_is_replaced_and_named(
    shared_root: Path, other_root: Path, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (root / "train" / "00000.tar").open("r+b") as file:
        file.seek(1600)
        file.write(bytes(100))
    stream = mixed((other_root, None), (root, None), max_bad_fraction=0.1).train_dataloader()
    assert all(len(batch.keys) == 4 for batch in stream)
    assert stream.faults.num_broken == 1
    assert "sample copy/train-00000000 is skipped" in caplog.text
    assert str(root / "train" / "00000.tar") in caplog.text


def test_what_a_mixture_draws_is_logged(
    shared_root: Path, other_root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        mixed((shared_root, 1.0), (other_root, 2.0)).train_dataloader()
    assert "  full      101           47  33.3%   0.465\n" in caplog.text + "\n"
    assert "other       40           94  66.7%    2.35" in caplog.text


@pytest.mark.parametrize(("root", "sources"), [("", ()), ("somewhere", (DataSource(root="elsewhere"),))])
def test_a_root_and_a_mixture_exclude_each_other(root: str, sources: tuple[DataSource, ...]) -> None:
    with pytest.raises(ValueError, match="data.root names one data set or data.mixture several, got"):
        ImageTextDataModule(root, RESOLUTION, mixture=sources)


def test_yaml_can_name_a_mixture(shared_root: Path, other_root: Path) -> None:
    parser = jsonargparse.ArgumentParser(exit_on_error=False, parser_mode="omegaconf")
    parser.add_class_arguments(ImageTextDataModule, "data")
    resolution = {"stride": 8, "sides": [1, 2, 4], "aspect_ratios": [0.6, 1.0, 5 / 3]}
    mixture = [{"root": str(shared_root), "weight": 2}, {"root": str(other_root), "weight": 1.0}]
    text = yaml.safe_dump({"data": {"root": "", "resolution": resolution, "mixture": mixture}})
    module = parser.instantiate(parser.parse_string(text)).data
    assert module.sources == (
        DataSource(root=str(shared_root), weight=2.0),
        DataSource(root=str(other_root), weight=1.0),
    )
    with pytest.raises(jsonargparse.ArgumentError, match="wait"):
        parser.parse_string(text.replace("weight", "wait"))
