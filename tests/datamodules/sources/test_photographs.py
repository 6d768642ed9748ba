"""The photographs source, on Debian packages made by hand."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.packing import pack_dataset
from datamodules.sources.photograph_names import LICENSES, PHOTOGRAPHS
from datamodules.sources.photographs import PhotographsConfig, photographs_dataset
from tests.datamodules.sources.packages import made, silent, write_deb

NAMES = list(PHOTOGRAPHS["mate-backgrounds"])
COPYRIGHT = (
    b"Files: *\nCopyright: 2020, All <a@b.c>\nLicense: GPL-2+\n\nFiles: nature/Aqua.jpg\nLicense: CC0\n"
)


def jpg(width: int, height: int) -> bytes:
    greys = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(greys).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    nature = "usr/share/backgrounds/mate/nature"
    files = {f"{nature}/{name}.jpg": jpg(96, 64) for name in NAMES}
    files |= {f"{nature}/Drawing.jpg": jpg(96, 64), f"{nature}/Aqua.txt": b"words"}
    write_deb(
        tmp_path / "mate-backgrounds_1_all.deb",
        files | {"usr/share/doc/mate-backgrounds/copyright": COPYRIGHT},
    )
    images = "usr/share/wallpapers/Path/contents/images"
    sizes = {
        f"{images}/{width}x{height}.jpg": jpg(width, height)
        for width, height in [(100, 75), (160, 120), (80, 60)]
    }
    sizes["usr/share/doc/plasma-workspace-wallpapers/copyright"] = COPYRIGHT
    write_deb(tmp_path / "plasma-workspace-wallpapers_1_all.deb", sizes)
    return tmp_path


def config(**options: object) -> PhotographsConfig:
    collections = ("mate-backgrounds", "plasma-workspace-wallpapers")
    return PhotographsConfig(size=32, levels=1, **{"collections": collections, **options})  # type: ignore[arg-type]


def test_only_listed_photographs_are_taken_each_in_its_largest_size(packages: Path, tmp_path: Path) -> None:
    parts = photographs_dataset(config(), packages, silent)
    assert parts.description["matched"] == len(NAMES) + 1
    listed = [sample for own in made(parts).values() for sample in own]
    samples = {sample.key: sample for sample in listed}
    assert len(samples) == len(listed) == 3 * (len(NAMES) + 1)  # so small, three of the ratios are the same
    sample = samples["plasma-workspace-wallpapers_Path-32x32-0-0"]
    assert sample.caption == "a photograph of a path through a dark forest"
    assert sample.metadata["file"].endswith("/160x120.jpg")
    assert sample.metadata["license"] == "GPL-2+"
    assert sample.metadata["creators"] == ("2020, All",)
    assert samples["mate-backgrounds_Aqua-32x32-0-0"].metadata["license"] == "CC0"
    pack_dataset(tmp_path / "out", parts)
    assert "Path: usr/share/wallpapers/Path" in (tmp_path / "out" / "CREDITS.txt").read_text()
    assert (tmp_path / "out" / "mate-backgrounds.copyright.txt").read_bytes() == COPYRIGHT


def test_a_photograph_is_held_out_with_all_its_crops(packages: Path) -> None:
    samples = made(photographs_dataset(config(val_fraction=0.4), packages, silent))
    files = [{sample.metadata["file"] for sample in own} for own in samples.values()]
    assert not files[0] & files[1]


def test_python_packages_are_used_as_they_are_installed(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    parts = photographs_dataset(config(collections=("scikit-image",)), tmp_path, silent)
    assert set(parts.description["photographs"]) == {
        f"scikit-image_{name}" for name in PHOTOGRAPHS["scikit-image"]
    }
    assert parts.description["pictures"][0].startswith("scikit-image==")
    sample = parts.splits["train"][0]
    assert sample.metadata["license"] == LICENSES["scikit-image"][sample.key.split("_")[1].split("-")[0]]
    assert "packages" not in {path.name for path in tmp_path.iterdir()}


def test_a_missing_python_package_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    monkeypatch.delitem(__import__("sys").modules, "sklearn", raising=False)
    with pytest.raises(
        ValueError, match=r"scikit-learn is not installed; pip install scikit-learn, or leave it out"
    ):
        photographs_dataset(config(collections=("scikit-learn",)), tmp_path, silent)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 16}, r"size must be in \[32, 1024\]"),
        ({"aspect_ratios": (9.0,)}, r"aspect_ratios must be in \[1/4, 4\]"),
        ({"levels": 0}, "levels must be in"),
        ({"min_contrast": -1.0}, "min_contrast must be in"),
        ({"val_fraction": 1.0}, "val_fraction must be between"),
        ({"collections": ("lena",)}, "collections must be some of scikit-image, "),
        ({"collections": ()}, "collections must be some of"),
    ],
)
def test_wrong_options_are_named(option: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PhotographsConfig(**option)  # type: ignore[arg-type]
