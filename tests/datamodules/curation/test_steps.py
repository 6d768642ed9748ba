from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from datamodules.curation import STEPS
from datamodules.index import ShardIndex
from datamodules.sample_files import SampleFiles
from tests.datamodules.drawn import texture, write_split


def scores_of(index: ShardIndex, step: str, **settings: object) -> list[float]:
    files = SampleFiles(index)
    return STEPS[step](**settings).scores(files[number] for number in range(len(index)))  # type: ignore[arg-type]


def with_captions(folder: Path, *captions: str) -> ShardIndex:
    return write_split(folder / "split", [(f"k{k}", texture(k), text) for k, text in enumerate(captions)])


def with_text(*lines: str, size: int = 34) -> Image.Image:
    image = texture(4, 320, 240)
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines):
        place = (12, 10 + 1.25 * size * number)
        ImageDraw.Draw(image).text(place, line, "white", font, stroke_fill="black", stroke_width=2)
    return image


def test_header_steps_read_the_index_alone(tmp_path: Path) -> None:
    index = write_split(
        tmp_path / "split", [("a", texture(0, 40, 90), "words"), ("b", texture(1, 100, 25), "words")]
    )
    (tmp_path / "split" / "00000.tar").unlink()
    numbers = np.arange(2)
    assert STEPS["resolution"]().header_scores(index, numbers).tolist() == [40, 25]  # type: ignore[union-attr]
    assert STEPS["aspect_ratio"]().header_scores(index, numbers).tolist() == [2.25, 4]  # type: ignore[union-attr]


def test_caption_length_counts_words_or_characters(tmp_path: Path) -> None:
    index = with_captions(tmp_path, "a red circle", "猫が座っている")
    assert scores_of(index, "caption_length") == [3, 1]
    assert scores_of(index, "caption_length", unit="characters") == [12, 7]


def test_captions_in_other_languages_are_told_from_short_ones(tmp_path: Path) -> None:
    pytest.importorskip("py3langid", reason="py3langid is not installed")
    english = ["a red circle left of a blue square", "A Sumatran tiger.", "a green fedora hat", "pizza"]
    others = ["ein roter Kreis neben einem blauen Quadrat", "un chat noir sur un tapis", "猫が座っている"]
    index = with_captions(tmp_path, *english, *others)
    scores = np.array(scores_of(index, "caption_language"))
    assert (scores[:4] < 0.5).all()
    assert (scores[4:] > 0.5).all()
    assert np.array(scores_of(index, "caption_language", languages=("en", "de")))[4] < 0.5
    with pytest.raises(ValueError, match="caption_language knows no klingon; it knows af, "):
        scores_of(index, "caption_language", languages=("klingon",))


def test_text_area_is_a_share_of_the_image(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    one = with_text("SALE ONLY TODAY")
    many = with_text("SALE ONLY TODAY", "CALL US NOW", "BEST PRICES", "OPEN ALL NIGHT")
    pictures = [with_text(), one, one.resize((800, 600), Image.Resampling.BICUBIC), many]
    index = write_split(tmp_path / "split", [(f"k{k}", picture, "x") for k, picture in enumerate(pictures)])
    scores = scores_of(index, "text_area")
    assert scores[0] == 0
    assert 0.05 < scores[1] < 0.25
    assert abs(scores[1] - scores[2]) < 0.04
    assert 2.5 * scores[1] < scores[3] < 0.8


def test_watermarks_are_read_in_any_case_and_spacing(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    marks = ["ShutterStock", "Adobe Stock", "EXIT 24"]
    pictures = [*map(with_text, marks), texture(0, 3, 2000), texture(0, 1, 1)]  # thin ones upset the detector
    index = write_split(tmp_path / "split", [(f"k{k}", picture, "x") for k, picture in enumerate(pictures)])
    assert scores_of(index, "watermark_text") == [1, 1, 0, 0, 0]
    assert scores_of(index, "watermark_text", words=("exit",)) == [0, 0, 1, 0, 0]


def test_images_of_any_format_are_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (40, 30), (255, 0, 0, 0)).save(buffer, "png")
    index = write_split(tmp_path / "split", [("k", buffer.getvalue(), "words")])
    image = SampleFiles(index)[0].image
    assert (image.mode, image.getpixel((0, 0))) == ("RGB", (255, 255, 255))
