"""A data set behind a web server gives the batches that its copy on this machine gives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from datamodules.__main__ import main
from datamodules.module import ImageTextDataModule
from tests.datamodules.conftest import CONFIG, RESOLUTION, MakeModule
from tests.datamodules.http_server import RangeServer, serve


@pytest.fixture
def server(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RangeServer]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serve(root) as server:
        yield server


def module_of(server: RangeServer, num_workers: int = 0) -> ImageTextDataModule:
    return ImageTextDataModule(server.url, RESOLUTION, 4, num_workers)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_from_a_url_are_those_of_local_shards(
    server: RangeServer, make_module: MakeModule, num_workers: int
) -> None:
    local = make_module().train_dataloader()
    remote = module_of(server, num_workers).train_dataloader()
    for here, there in islice(zip(local, remote, strict=True), 12):
        assert there.keys == here.keys
        assert there.captions == here.captions
        assert torch.equal(there.images_B3HW, here.images_B3HW)


def test_a_checkpoint_of_local_training_goes_on_with_shards_at_a_url(
    server: RangeServer, make_module: MakeModule
) -> None:
    local = make_module()
    sequence = [batch.keys for batch in local.train_dataloader()]
    remote = module_of(server)
    remote.load_state_dict({**local.state_dict(), "batches": 5})
    assert next(iter(remote.train_dataloader())).keys == sequence[5]


def test_a_sample_costs_one_request(server: RangeServer) -> None:
    stream = module_of(server).val_dataloader()
    server.gets.clear()
    assert sum(len(batch.keys) for batch in stream) >= CONFIG.num_val
    assert len(server.gets) == CONFIG.num_val


def test_a_missing_remote_shard_is_named_at_start(server: RangeServer, root: Path) -> None:
    (root / "train" / "00001.tar").unlink()
    with pytest.raises(ValueError, match=r"shard http://127.*/train/00001\.tar is missing"):
        module_of(server).setup("fit")


def test_statistics_of_a_url_are_written_here(
    server: RangeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", server.url, "--num_workers=1"]) == 1
    assert "stats is a URL, but only a folder of this machine can be written" in capsys.readouterr().err
    arguments = ["stats", server.url, f"--report={tmp_path / 'report'}", "--num_workers=1", "--num_decoded=2"]
    assert main(arguments) == 0
    assert (tmp_path / "report" / "stats.html").is_file()
