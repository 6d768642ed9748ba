from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.splits import dataset_splits
from tests.datamodules.conftest import CONFIG
from tests.datamodules.http_server import serve


def test_train_comes_first_then_val_then_the_others(shared_root: Path) -> None:
    splits = dataset_splits(shared_root)
    assert list(splits) == ["train", "val", "eval"]
    assert len(splits["val"]) == CONFIG.num_val


def test_a_folder_with_an_index_is_a_split_under_its_own_name_also_as_a_link(
    shared_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "train").symlink_to(shared_root / "val")
    assert list(dataset_splits(tmp_path / "mine" / "train")) == ["train"]
    assert list(dataset_splits(tmp_path / "mine")) == ["train"]


@pytest.mark.parametrize("has_listings", [True, False])
def test_the_splits_at_a_url_are_found(
    shared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_listings: bool
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    local = {name: index.fingerprint for name, index in dataset_splits(shared_root).items()}
    if not has_listings:  # other names can't be known
        del local["eval"]
    with serve(shared_root) as server:
        server.has_listings = has_listings
        remote = dataset_splits(server.url)
        assert {name: index.fingerprint for name, index in remote.items()} == local
        with pytest.raises(ValueError, match=r"no index in http://.*/val/none or its subfolders"):
            dataset_splits(f"{server.url}/val/none")


def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no data set at .*none; make one with"):
        dataset_splits(tmp_path / "none")
    with pytest.raises(ValueError, match=rf"no index in {tmp_path} or its subfolders; make one with"):
        dataset_splits(tmp_path)
