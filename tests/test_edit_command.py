"""``python -m infinity edit`` and ``reconstruct``, in process."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from infinity.__main__ import main
from infinity.checkpoints.io import weights_sha256
from infinity.rewriting import build_rewriter


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """A picture that is not of the model's size."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 15, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((150, 90)).save(path)
    return path


def edit(model, output, name, *arguments):
    main(["edit", name, *map(str, arguments), "--model", str(model), "--output", str(output)])
    return sorted(path.name for path in output.iterdir())


def test_variations_of_a_drawn_image_keep_its_coarse_scales(model, tmp_path):
    files = edit(model, tmp_path, "variations", "a red circle", "--keep", 2, "--num-images", 3)
    assert files == ["0.png", "1.png", "2.png", "edit.json", "grid.png"]
    assert Image.open(tmp_path / "grid.png").size == (4 * 66, 66)
    record = json.loads((tmp_path / "edit.json").read_text())
    assert (record["edit"], record["keep"], len(record["seeds"])) == ("variations", 2, 3)
    assert record["vae_sha256"] == weights_sha256(model / "vae")
    assert record["guidance"] == 3.0  # the model's own
    grid = np.asarray(Image.open(tmp_path / "grid.png"))
    assert not np.array_equal(grid[:, :66], grid[:, 66:132])


def test_keeping_all_scales_keeps_the_image(model, photo, tmp_path):
    edit(model, tmp_path, "variations", "a", "--image", photo, "--keep", 3)
    grid = np.asarray(Image.open(tmp_path / "grid.png"), dtype=int)
    assert np.abs(grid[:, :82] - grid[:, 82:]).max() <= 1


def test_an_edit_by_prompt_starts_from_a_prompt_an_image_or_bits(model, photo, tmp_path):
    main(["reconstruct", str(photo), "--bits", "--model", str(model), "--output", str(tmp_path)])
    for name, source in {
        "drawn": ("--from", "a red circle"),
        "photo": ("--image", photo),
        "bits": ("--image", tmp_path / "photo.bits"),
    }.items():
        edit(model, tmp_path / name, "prompt", "a blue circle", *source, "--keep", 1)
    photo_grid, bits_grid = ((tmp_path / name / "grid.png").read_bytes() for name in ("photo", "bits"))
    assert photo_grid == bits_grid


def test_inpainting_takes_a_box_or_a_mask(model, photo, tmp_path):
    mask = Image.new("L", (150, 90))
    mask.paste(255, (30, 30, 90, 60))
    mask.save(tmp_path / "mask.png")
    edit(model, tmp_path / "box", "inpaint", photo, "a", "--box", "30,30,90,60")
    edit(model, tmp_path / "mask", "inpaint", photo, "a", "--mask", tmp_path / "mask.png")
    assert (tmp_path / "box/0.png").read_bytes() == (tmp_path / "mask/0.png").read_bytes()


def test_outpainting_and_strips_leave_pictures(model, photo, tmp_path):
    edit(model, tmp_path / "out", "outpaint", photo, "a", "--aspect-ratio", "0.6", "--position", "0,0")
    assert Image.open(tmp_path / "out/0.png").size == (80, 48)
    files = edit(model, tmp_path / "strip", "strip", "a red circle")
    assert files == ["0.png", "1.png", "2.png", "edit.json", "grid.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("strip",), "either a prompt or --image"),
        (
            ("strip", "--image", "a.png", "--guidance", "0", "--seed", "1"),
            "not drawn: leave out --guidance, --seed",
        ),
        (("strip", "--image", "a.png", "--rewriter", "tests.rewriters:at_sea"), "leave out --rewriter"),
        (("strip", "a", "--rewrite-cache", "b"), "no effect without --rewriter"),
        (("inpaint", "missing.png", "a", "--box", "0,0,1,1"), "there is no image missing.png"),
        (("variations", "a", "--keep", "9"), r"keep_scales must be in \[0, 3\]"),
        (("variations", "a", "--num-images", "0"), "must be at least 1"),
        (("variations", "a", "--image", "missing.bits"), "there is no file missing.bits"),
    ],
)
def test_bad_input_ends_with_one_sentence(model, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        edit(model, tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_results_are_not_overwritten(model, tmp_path):
    edit(model, tmp_path, "strip", "a")
    with pytest.raises(SystemExit, match="is not empty; choose another --output"):
        edit(model, tmp_path, "strip", "b")


def test_a_box_that_is_none_ends_with_one_sentence(model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        edit(model, tmp_path, "inpaint", "a.png", "a", "--box", "1,2")
    assert "argument --box: expected 4 numbers with commas between them, got '1,2'" in capsys.readouterr().err


def test_reconstructing_reports_the_error_and_the_size_of_the_bits(model, photo, tmp_path, capsys):
    main(["reconstruct", str(photo), "--model", str(model), "--output", str(tmp_path / "a"), "--bits"])
    size = (tmp_path / "a/photo.bits").stat().st_size
    assert f"dB, {size} bytes" in capsys.readouterr().out
    stored = tmp_path / "a/photo.bits"
    main(["reconstruct", str(stored), "--model", str(model), "--output", str(tmp_path / "b")])
    first, second = (np.asarray(Image.open(tmp_path / f"{name}/photo.png"), dtype=int) for name in "ab")
    assert np.abs(first - second).max() <= 1


def test_reconstructing_overwrites_no_source(model, photo, tmp_path):
    for arguments, message in (
        ((photo, "--output", photo.parent), "would be overwritten"),
        ((photo, photo, "--output", tmp_path), r"written as photo\.png"),
    ):
        with pytest.raises(SystemExit, match=f"error: .*{message}"):
            main(["reconstruct", *map(str, arguments), "--model", str(model)])


@pytest.mark.parametrize("box", ["10,10,10,20", "20,10,10,20", "-1,0,5,5", "0,0,151,90"])
def test_a_box_that_does_not_lie_in_the_image_is_refused(model, photo, tmp_path, box):
    with pytest.raises(SystemExit, match=r"error: --box must be .* within .*photo\.png, 150x90 pixels"):
        edit(model, tmp_path / "out", "inpaint", photo, "a", f"--box={box}")


def test_an_infinite_box_is_refused(model, photo, tmp_path, capsys):
    with pytest.raises(SystemExit):
        edit(model, tmp_path / "out", "inpaint", photo, "a", "--box", "inf,0,1,1")
    assert "argument --box: expected 4 numbers" in capsys.readouterr().err


def test_both_prompts_of_an_edit_are_rewritten_and_the_record_says_so(model, tmp_path):
    edit(model, tmp_path / "plain", "prompt", "a cat at sea", "--from", "a dog at sea")
    rewriter, cache = "tests.rewriters:at_sea", tmp_path / "cache.jsonl"
    options = ("--rewriter", rewriter, "--rewrite-cache", cache)
    files = edit(model, tmp_path / "on", "prompt", "a cat", "--from", "a dog", *options)
    assert files == ["0.png", "edit.json", "grid.png"]
    for name in ("0.png", "grid.png"):
        assert (tmp_path / "on" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    plain, on = (json.loads((tmp_path / name / "edit.json").read_text()) for name in ("plain", "on"))
    added = {
        "prompt": "a cat",
        "source": "a dog",
        "rewriter": build_rewriter(rewriter).fingerprint,
        "rewritten_prompt": "a cat at sea",
        "rewritten_source": "a dog at sea",
    }
    assert plain["rewriter"] is None
    assert on == plain | added
    assert len(cache.read_text().splitlines()) == 3
