from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lit_modules.callbacks import Images
from tests.lit_modules.toy import Toy, batches, trainer


def run(tmp_path: Path, images: Images) -> list[str]:
    options = {"max_steps": 6, "val_check_interval": 2, "num_sanity_val_steps": 1}
    trainer(tmp_path, images, **options).fit(Toy(), batches(6), batches(2, size=4))
    return sorted(path.name for path in tmp_path.glob("images/*"))


def test_a_picture_has_a_row_per_image_and_a_column_per_kind(tmp_path: Path) -> None:
    names = run(tmp_path, Images(num_images=3))
    assert names == ["step_0000002.png", "step_0000004.png", "step_0000006.png"]
    picture = Image.open(tmp_path / "images" / names[0])
    assert picture.size == (2 * (2 + 2) + 2, 3 * (2 + 2) + 2)  # 2 x 2 pixels with a margin of 2
    assert picture.getpixel((6, 2)) == (128, 128, 128)  # the second column is 0 in [-1, 1]


def test_pictures_can_be_rarer_than_validations(tmp_path: Path) -> None:
    assert run(tmp_path, Images(every_n_validations=2)) == ["step_0000002.png", "step_0000006.png"]


def test_pictures_can_be_turned_off(tmp_path: Path) -> None:
    assert run(tmp_path, Images(every_n_validations=0)) == []


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="images.num_images"):
        Images(num_images=0)
