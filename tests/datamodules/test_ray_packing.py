"""Packing on a Ray cluster of this machine alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from datamodules.__main__ import main
from tests.datamodules.folders import contents

ray = pytest.importorskip("ray", reason="needs the extra `ray`")


@pytest.fixture
def _ended() -> Iterator[None]:
    yield
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("_ended")
def test_ray_writes_the_same_bytes_and_its_failures_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(12):
        Image.effect_noise((9, 8), 50).convert("RGB").save(folder / f"{k}.png")
        (folder / f"{k}.txt").write_text(f"photo {k}")
    (folder / "silent.png").write_bytes((folder / "0.png").read_bytes())
    options = ["--samples_per_shard=4", "--val_fraction=0.3", "--num_workers=2", "--max_left_out=0.5"]
    for engine in ("local", "ray"):
        assert main(["pack", str(folder), str(tmp_path / engine), f"--engine={engine}", *options]) == 0
        assert "silent.png: no caption" in capsys.readouterr().err
    assert contents(tmp_path / "local") == contents(tmp_path / "ray")

    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "0.tar").write_bytes(b"no tar")
    assert main(["pack", str(tmp_path / "bad"), str(tmp_path / "o"), "--engine=ray", "--num_workers=2"]) == 1
    assert "0.tar is no complete tar file" in capsys.readouterr().err
